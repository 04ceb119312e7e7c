-- Explanations are rendered, not stored: rules as bits, policies by hash, conditions without sentences.
DROP VIEW market_features;
DROP VIEW market_scores;
DROP VIEW market_verdicts;
DROP VIEW market_grid_advice;
DROP VIEW market_dashboard_hours;

CREATE TABLE policy (
  policy_hash TEXT NOT NULL,
  document JSONB NOT NULL,
  recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT policy_pkey PRIMARY KEY (policy_hash)
);

-- The policy shipped with the first revision, under the hashes of its verdicts and of its advice.
INSERT INTO policy (policy_hash, document)
SELECT known.policy_hash, shipped.document
FROM (VALUES ('@VERDICT@'), ('@ADVICE@')) AS known (policy_hash),
  (SELECT '@DOCUMENT@'::jsonb AS document) AS shipped;

ALTER TABLE features RENAME COLUMN policy_hash TO feature_hash;
ALTER TABLE scores RENAME COLUMN policy_hash TO score_hash;

-- Bit k stands for the k-th field of verdicts.rules.MetRules: 0 is_known, 1 is_weak, 2 is_transition, 4 is_trend,
-- 5 has_quality, 6 has_reversion, 7 has_no_trend, 8 has_capacity. Bits that no explanation reads stay 0.
ALTER TABLE regime_verdicts ADD COLUMN rules_met INTEGER;
UPDATE regime_verdicts SET rules_met = CASE WHEN jsonb_array_length(factors) < 7 THEN 0 ELSE
  1
  | ((factors -> 1 ->> 'outcome' <> 'not met')::int << 1)
  | ((factors -> 2 ->> 'outcome' <> 'not met')::int << 2)
  | ((factors -> 3 ->> 'outcome' <> 'not met')::int << 4)
  | (((factors -> 4 -> 'inputs' ->> 'range_quality_score')::float8
      >= (factors -> 4 -> 'threshold' ->> 'range_quality_score')::float8)::int << 5)
  | (((factors -> 4 -> 'inputs' ->> 'mean_rev_score')::float8
      >= (factors -> 4 -> 'threshold' ->> 'mean_rev_score')::float8)::int << 6)
  | (((factors -> 4 -> 'inputs' ->> 'trend_score')::float8
      < (factors -> 4 -> 'threshold' ->> 'trend_score')::float8)::int << 7)
  | (COALESCE((factors -> 5 ->> 'margin')::float8 >= 0
      AND (factors -> 5 -> 'inputs' ->> 'grid_net_gain_bps')::float8
      >= (factors -> 5 -> 'threshold' ->> 'grid_net_gain_bps')::float8, FALSE)::int << 8)
  END;
ALTER TABLE regime_verdicts ALTER COLUMN rules_met SET NOT NULL;
ALTER TABLE regime_verdicts DROP COLUMN factors, DROP COLUMN competing;

ALTER TABLE grid_advice RENAME COLUMN policy_hash TO advice_hash;
ALTER TABLE grid_advice ADD COLUMN close DOUBLE PRECISION;
UPDATE grid_advice SET close = (reasons -> 1 -> 'inputs' ->> 'close')::float8;
ALTER TABLE grid_advice DROP COLUMN reasons;
UPDATE grid_advice SET gate_checks = (
  SELECT COALESCE(jsonb_agg(
    (made - 'sentence') || CASE
      WHEN made ->> 'name' = 'ADX_DECAY' AND made ->> 'sentence' LIKE 'ADX, falling%' THEN
        jsonb_build_object('detail', 'falling over 6 bars')
      WHEN made ->> 'name' = 'ADX_DECAY' THEN jsonb_build_object('detail', 'not falling over 6 bars')
      ELSE '{}'::jsonb END
    ORDER BY place), '[]'::jsonb)
  FROM jsonb_array_elements(gate_checks) WITH ORDINALITY AS listed (made, place))
WHERE gate_checks <> '[]'::jsonb;
UPDATE grid_advice SET restart_grid = jsonb_build_object('grid', restart_grid -> 'grid', 'failed', NULL)
WHERE restart_grid <> 'null'::jsonb;

-- Calibrated weights, and how long a band will hold; NULL until an hour is computed again.
ALTER TABLE features
  ADD COLUMN hour_close DOUBLE PRECISION,
  ADD COLUMN drift_z_12 DOUBLE PRECISION,
  ADD COLUMN drift_z_24 DOUBLE PRECISION,
  ADD COLUMN drift_z_48 DOUBLE PRECISION,
  ADD COLUMN drift_z_96 DOUBLE PRECISION,
  ADD COLUMN spread_log_48 DOUBLE PRECISION,
  ADD COLUMN spread_log_96 DOUBLE PRECISION,
  ADD COLUMN fading_log_ratio DOUBLE PRECISION,
  ADD COLUMN fading_log_volatility DOUBLE PRECISION;
ALTER TABLE scores
  ADD COLUMN p_range DOUBLE PRECISION,
  ADD COLUMN p_trend DOUBLE PRECISION,
  ADD COLUMN p_volatile DOUBLE PRECISION,
  ADD COLUMN ok_share_held DOUBLE PRECISION,
  ADD COLUMN ok_share_open DOUBLE PRECISION,
  ADD COLUMN variance_24h DOUBLE PRECISION,
  ADD COLUMN variance_168h DOUBLE PRECISION,
  ADD COLUMN variance_720h DOUBLE PRECISION,
  ADD COLUMN hold_24h DOUBLE PRECISION,
  ADD COLUMN hold_72h DOUBLE PRECISION;
ALTER TABLE regime_verdicts
  ADD COLUMN hold_24h DOUBLE PRECISION,
  ADD COLUMN hold_72h DOUBLE PRECISION;
ALTER TABLE grid_advice
  ADD COLUMN hold_24h DOUBLE PRECISION,
  ADD COLUMN hold_72h DOUBLE PRECISION;
ALTER TABLE dashboard_hours
  ADD COLUMN hold_24h DOUBLE PRECISION,
  ADD COLUMN hold_72h DOUBLE PRECISION;

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
  t.feature_hash, t.run_id
FROM features t
JOIN series s USING (series_id);

CREATE VIEW market_scores AS
SELECT s.symbol, s.timeframe, t.hour_start, t.as_of_bar, t.is_new_bar, t.status, t.ranked_observations,
  t.rank_efficiency_ratio, t.rank_adx, t.rank_slope_t, t.rank_donchian_excess_atr, t.rank_variance_ratio_z,
  t.rank_ou_t, t.rank_median_crossings, t.rank_autocorrelation, t.rank_log_volatility, t.rank_vol_log_ratio,
  t.trend_score, t.mean_rev_score, t.vol_change_score, t.range_quality_score, t.grid_capacity_score, t.grid_levels,
  t.grid_net_gain_bps, t.trend_votes, t.is_trend_confirmed, t.p_range, t.p_trend, t.p_volatile, t.ok_share_held,
  t.ok_share_open, t.variance_24h, t.variance_168h, t.variance_720h, t.hold_24h, t.hold_72h, t.score_hash, t.run_id
FROM scores t
JOIN series s USING (series_id);

CREATE VIEW market_verdicts AS
SELECT s.symbol, s.timeframe, t.hour_start, t.as_of_bar, t.is_new_bar, t.verdict, t.instant_verdict, t.confidence,
  t.completeness, t.consensus, t.direction, t.dominant_risk, t.weight_range_ok, t.weight_range_weak, t.weight_trend,
  t.weight_transition, t.is_rule_override, t.range_low, t.range_high, t.range_confidence, t.hold_24h, t.hold_72h,
  t.rules_met, t.policy_hash, t.run_id
FROM regime_verdicts t
JOIN series s USING (series_id);

CREATE VIEW market_grid_advice AS
SELECT s.symbol, s.timeframe, t.hour_start, t.as_of_bar, t.is_new_bar, t.status, t.action, t.enabled, t.is_actionable,
  t.inventory, t.close, t.config_version, t.closes_outside, t.iou, t.lower_offset_atr, t.upper_offset_atr,
  t.configured_levels, t.configured_net_gain_bps, t.capacity_then, t.capacity_now, t.capacity_levels_now,
  t.capacity_net_gain_now_bps, t.bars_since_reposition, t.proposed_lower, t.proposed_upper, t.hold_24h, t.hold_72h,
  t.stopped_at, t.gate_state, t.gate_bars, t.gate_held, t.gate_checks, t.restart_grid, t.advice_hash, t.run_id
FROM grid_advice t
JOIN series s USING (series_id);

CREATE VIEW market_dashboard_hours AS
SELECT s.symbol, s.timeframe, t.hour_start, t.as_of_bar, t.hour_status, t.open, t.high, t.low, t.close, t.volume,
  t.verdict, t.confidence, t.direction, t.dominant_risk, t.trend_score, t.mean_rev_score, t.vol_change_score,
  t.range_quality_score, t.grid_capacity_score, t.range_low, t.range_high, t.range_confidence, t.hold_24h,
  t.hold_72h, t.candle_state, t.candle_confidence, t.reason, t.policy_hash, t.run_id
FROM dashboard_hours t
JOIN series s USING (series_id);
