-- How long a permission lasts, what a probationary grid has shown, and how far the price is beyond the grid.
DROP VIEW market_grid_advice;
ALTER TABLE grid_advice
  ADD COLUMN edge_distance_atr DOUBLE PRECISION,
  ADD COLUMN permit_bars INTEGER NOT NULL DEFAULT 0,
  ADD COLUMN graduation JSONB NOT NULL DEFAULT '[]',
  DROP CONSTRAINT grid_advice_status_check,
  ADD CONSTRAINT grid_advice_status_check CHECK (status IN ('OK', 'NO_GRID', 'NO_VERDICT', 'OUTSIDE'));
ALTER TABLE grid_advice
  ALTER COLUMN permit_bars DROP DEFAULT,
  ALTER COLUMN graduation DROP DEFAULT;

CREATE VIEW market_grid_advice AS
SELECT s.symbol, s.timeframe, t.hour_start, t.as_of_bar, t.is_new_bar, t.status, t.action, t.enabled, t.is_actionable,
  t.inventory, t.close, t.config_version, t.closes_outside, t.edge_distance_atr, t.iou, t.lower_offset_atr,
  t.upper_offset_atr, t.configured_levels, t.configured_net_gain_bps, t.capacity_then, t.capacity_now,
  t.capacity_levels_now, t.capacity_net_gain_now_bps, t.bars_since_reposition, t.proposed_lower, t.proposed_upper,
  t.hold_24h, t.hold_72h, t.stopped_at, t.gate_state, t.gate_bars, t.gate_held, t.permit_bars, t.gate_checks,
  t.restart_grid, t.graduation, t.advice_hash, t.run_id
FROM grid_advice t
JOIN series s USING (series_id);
