-- A window that lacks a few bars is computed over the others, and says so.
DROP VIEW market_features;
ALTER TABLE features
  ADD COLUMN absent_bars INTEGER NOT NULL DEFAULT 0,
  DROP CONSTRAINT features_status_check,
  ADD CONSTRAINT features_status_check CHECK (status IN ('OK', 'INCOMPLETE_WINDOW', 'WARMING_UP', 'PARTIAL'));
ALTER TABLE features ALTER COLUMN absent_bars DROP DEFAULT;
ALTER TABLE scores
  DROP CONSTRAINT scores_status_check,
  ADD CONSTRAINT scores_status_check CHECK (status IN ('OK', 'INCOMPLETE_WINDOW', 'WARMING_UP', 'PARTIAL'));

CREATE VIEW market_features AS
SELECT s.symbol, s.timeframe, t.hour_start, t.as_of_bar, t.is_new_bar, t.status, t.close, t.tick, t.atr,
  t.efficiency_ratio, t.adx, t.is_adx_rising, t.adx_change, t.dm_direction, t.efficiency_ratio_short,
  t.bars_since_extreme, t.slope_t, t.donchian_excess_atr, t.direction, t.variance_ratio_z, t.ou_t,
  t.ou_half_life_bars, t.median_crossings, t.autocorrelation, t.log_volatility, t.vol_log_ratio, t.atr_change_log,
  t.vol_of_vol, t.vol_direction, t.hurst, t.quantile_low, t.quantile_high, t.donchian_low, t.donchian_high,
  t.pivot_low, t.pivot_high, t.profile_low, t.profile_high, t.channel_low, t.channel_high, t.range_methods,
  t.range_low, t.range_high, t.range_agreement, t.range_confidence, t.range_width_atr, t.containment, t.touches_low,
  t.touches_high, t.traversals, t.net_displacement, t.failed_breakouts, t.hour_close, t.drift_z_12, t.drift_z_24,
  t.drift_z_48, t.drift_z_96, t.spread_log_48, t.spread_log_96, t.fading_log_ratio, t.fading_log_volatility,
  t.absent_bars, t.feature_hash, t.run_id, t.hour_start + interval '1 hour' AS known_at
FROM features t
JOIN series s USING (series_id);
