-- From when on each row may be used, in every view of regimes and of hours.
CREATE OR REPLACE VIEW market_regimes AS
SELECT s.symbol, s.timeframe, r.open_time, x.trend_state, x.volatility_state, x.momentum_state, x.full_regime,
  x.simplified_regime, r.confidence, COALESCE(r.written_at, u.started_at) AS created_at, r.run_id,
  r.open_time + make_interval(secs => EXTRACT(epoch FROM s.timeframe::interval)) AS known_at
FROM candle_regime r
JOIN series s USING (series_id)
JOIN regime_state x USING (state)
LEFT JOIN runs u ON u.run_id = r.run_id;

CREATE OR REPLACE VIEW market_candle_hours AS
SELECT s.symbol, s.timeframe, t.hour_start, t.expected, t.present, t.status, t.run_id, t.hour_start + interval '1 hour' AS
  known_at
FROM candle_hours t
JOIN series s USING (series_id);

CREATE OR REPLACE VIEW market_features AS
SELECT s.symbol, s.timeframe, t.hour_start, t.as_of_bar, t.is_new_bar, t.status, t.close, t.tick, t.atr,
  t.efficiency_ratio, t.adx, t.is_adx_rising, t.adx_change, t.dm_direction, t.efficiency_ratio_short,
  t.bars_since_extreme, t.slope_t, t.donchian_excess_atr, t.direction, t.variance_ratio_z, t.ou_t,
  t.ou_half_life_bars, t.median_crossings, t.autocorrelation, t.log_volatility, t.vol_log_ratio, t.atr_change_log,
  t.vol_of_vol, t.vol_direction, t.hurst, t.quantile_low, t.quantile_high, t.donchian_low, t.donchian_high,
  t.pivot_low, t.pivot_high, t.profile_low, t.profile_high, t.channel_low, t.channel_high, t.range_methods,
  t.range_low, t.range_high, t.range_agreement, t.range_confidence, t.range_width_atr, t.containment, t.touches_low,
  t.touches_high, t.traversals, t.net_displacement, t.failed_breakouts, t.hour_close, t.drift_z_12, t.drift_z_24,
  t.drift_z_48, t.drift_z_96, t.spread_log_48, t.spread_log_96, t.fading_log_ratio, t.fading_log_volatility,
  t.feature_hash, t.run_id, t.hour_start + interval '1 hour' AS known_at
FROM features t
JOIN series s USING (series_id);

CREATE OR REPLACE VIEW market_scores AS
SELECT s.symbol, s.timeframe, t.hour_start, t.as_of_bar, t.is_new_bar, t.status, t.ranked_observations,
  t.rank_efficiency_ratio, t.rank_adx, t.rank_slope_t, t.rank_donchian_excess_atr, t.rank_variance_ratio_z,
  t.rank_ou_t, t.rank_median_crossings, t.rank_autocorrelation, t.rank_log_volatility, t.rank_vol_log_ratio,
  t.trend_score, t.mean_rev_score, t.vol_change_score, t.range_quality_score, t.grid_capacity_score, t.grid_levels,
  t.grid_net_gain_bps, t.trend_votes, t.is_trend_confirmed, t.p_range, t.p_trend, t.p_volatile, t.ok_share_held,
  t.ok_share_open, t.variance_24h, t.variance_168h, t.variance_720h, t.hold_24h, t.hold_72h, t.score_hash, t.run_id,
  t.hour_start + interval '1 hour' AS known_at
FROM scores t
JOIN series s USING (series_id);

CREATE OR REPLACE VIEW market_verdicts AS
SELECT s.symbol, s.timeframe, t.hour_start, t.as_of_bar, t.is_new_bar, t.verdict, t.instant_verdict, t.confidence,
  t.completeness, t.consensus, t.direction, t.dominant_risk, t.weight_range_ok, t.weight_range_weak, t.weight_trend,
  t.weight_transition, t.is_rule_override, t.range_low, t.range_high, t.range_confidence, t.hold_24h, t.hold_72h,
  t.rules_met, t.policy_hash, t.run_id, t.hour_start + interval '1 hour' AS known_at
FROM regime_verdicts t
JOIN series s USING (series_id);

CREATE OR REPLACE VIEW market_grid_advice AS
SELECT s.symbol, s.timeframe, t.hour_start, t.as_of_bar, t.is_new_bar, t.status, t.action, t.enabled, t.is_actionable,
  t.inventory, t.close, t.config_version, t.closes_outside, t.edge_distance_atr, t.iou, t.lower_offset_atr,
  t.upper_offset_atr, t.configured_levels, t.configured_net_gain_bps, t.capacity_then, t.capacity_now,
  t.capacity_levels_now, t.capacity_net_gain_now_bps, t.bars_since_reposition, t.proposed_lower, t.proposed_upper,
  t.hold_24h, t.hold_72h, t.stopped_at, t.gate_state, t.gate_bars, t.gate_held, t.permit_bars, t.gate_checks,
  t.restart_grid, t.graduation, t.advice_hash, t.run_id, t.hour_start + interval '1 hour' AS known_at
FROM grid_advice t
JOIN series s USING (series_id);

CREATE OR REPLACE VIEW market_dashboard_hours AS
SELECT s.symbol, s.timeframe, t.hour_start, t.as_of_bar, t.hour_status, t.open, t.high, t.low, t.close, t.volume,
  t.verdict, t.confidence, t.direction, t.dominant_risk, t.trend_score, t.mean_rev_score, t.vol_change_score,
  t.range_quality_score, t.grid_capacity_score, t.range_low, t.range_high, t.range_confidence, t.hold_24h,
  t.hold_72h, t.candle_state, t.candle_confidence, t.reason, t.policy_hash, t.run_id, t.hour_start + interval '1
  hour' AS known_at
FROM dashboard_hours t
JOIN series s USING (series_id);
