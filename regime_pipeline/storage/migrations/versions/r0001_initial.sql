CREATE SEQUENCE dirty_range_id_seq;

CREATE TABLE api_key (
  key_id TEXT NOT NULL,
  name TEXT NOT NULL,
  scope TEXT NOT NULL,
  secret_hash TEXT NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  revoked_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT api_key_pkey PRIMARY KEY (key_id),
  CONSTRAINT api_key_scope_check CHECK (scope IN ('read', 'write'))
);

CREATE TABLE candle_hours (
  hour_start TIMESTAMP WITH TIME ZONE NOT NULL,
  series_id INTEGER NOT NULL,
  run_id INTEGER NOT NULL,
  expected SMALLINT NOT NULL,
  present SMALLINT NOT NULL,
  status TEXT NOT NULL,
  CONSTRAINT candle_hours_pkey PRIMARY KEY (series_id, hour_start),
  CONSTRAINT candle_hours_status_check CHECK (status IN ('complete', 'exchange_gap', 'missing'))
);

CREATE TABLE candle_regime (
  open_time TIMESTAMP WITH TIME ZONE NOT NULL,
  series_id INTEGER NOT NULL,
  run_id INTEGER NOT NULL,
  confidence REAL NOT NULL,
  state SMALLINT NOT NULL,
  CONSTRAINT candle_regime_pkey PRIMARY KEY (series_id, open_time) INCLUDE (state, confidence),
  CONSTRAINT candle_regime_confidence_check CHECK (confidence BETWEEN 0 AND 1)
)
 WITH (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

CREATE TABLE candle_revisions (
  open_time TIMESTAMP WITH TIME ZONE NOT NULL,
  revised_at TIMESTAMP WITH TIME ZONE DEFAULT statement_timestamp() NOT NULL,
  old_open DOUBLE PRECISION NOT NULL,
  old_high DOUBLE PRECISION NOT NULL,
  old_low DOUBLE PRECISION NOT NULL,
  old_close DOUBLE PRECISION NOT NULL,
  old_volume DOUBLE PRECISION NOT NULL,
  series_id INTEGER NOT NULL,
  old_run_id INTEGER NOT NULL,
  run_id INTEGER NOT NULL,
  is_removed BOOLEAN NOT NULL,
  CONSTRAINT candle_revisions_pkey PRIMARY KEY (series_id, open_time, revised_at)
);

CREATE TABLE candles (
  open_time TIMESTAMP WITH TIME ZONE NOT NULL,
  open DOUBLE PRECISION NOT NULL,
  high DOUBLE PRECISION NOT NULL,
  low DOUBLE PRECISION NOT NULL,
  close DOUBLE PRECISION NOT NULL,
  volume DOUBLE PRECISION NOT NULL,
  series_id INTEGER NOT NULL,
  run_id INTEGER NOT NULL,
  CONSTRAINT candles_pkey PRIMARY KEY (series_id, open_time)
)
 WITH (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

CREATE TABLE dashboard_hours (
  hour_start TIMESTAMP WITH TIME ZONE NOT NULL,
  series_id INTEGER NOT NULL,
  run_id INTEGER NOT NULL,
  as_of_bar TIMESTAMP WITH TIME ZONE,
  hour_status TEXT NOT NULL,
  open DOUBLE PRECISION,
  high DOUBLE PRECISION,
  low DOUBLE PRECISION,
  close DOUBLE PRECISION,
  volume DOUBLE PRECISION,
  verdict TEXT NOT NULL,
  confidence DOUBLE PRECISION,
  direction TEXT NOT NULL,
  dominant_risk TEXT NOT NULL,
  trend_score DOUBLE PRECISION,
  mean_rev_score DOUBLE PRECISION,
  vol_change_score DOUBLE PRECISION,
  range_quality_score DOUBLE PRECISION,
  grid_capacity_score DOUBLE PRECISION,
  range_low DOUBLE PRECISION,
  range_high DOUBLE PRECISION,
  range_confidence DOUBLE PRECISION,
  candle_state INTEGER NOT NULL,
  candle_confidence DOUBLE PRECISION,
  reason TEXT NOT NULL,
  policy_hash TEXT NOT NULL,
  CONSTRAINT dashboard_hours_pkey PRIMARY KEY (series_id, hour_start),
  CONSTRAINT dashboard_hours_hour_status_check CHECK (hour_status IN ('complete', 'exchange_gap', 'missing')),
  CONSTRAINT dashboard_hours_verdict_check CHECK (verdict IN ('INSUFFICIENT_DATA', 'RANGE_OK', 'RANGE_WEAK', 'TREND', 'TRANSITION')),
  CONSTRAINT dashboard_hours_direction_check CHECK (direction IN ('flat', 'up', 'down')),
  CONSTRAINT dashboard_hours_dominant_risk_check CHECK (dominant_risk IN ('NONE', 'TREND', 'TRANSITION'))
)
 WITH (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

CREATE TABLE dirty_range (
  id BIGINT NOT NULL,
  from_time TIMESTAMP WITH TIME ZONE NOT NULL,
  to_time TIMESTAMP WITH TIME ZONE NOT NULL,
  marked_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  series_id INTEGER NOT NULL,
  run_id INTEGER NOT NULL,
  asset TEXT NOT NULL,
  reason TEXT NOT NULL,
  CONSTRAINT dirty_range_pkey PRIMARY KEY (id, from_time),
  CONSTRAINT dirty_range_span_check CHECK (from_time < to_time)
);

CREATE INDEX dirty_range_asset_idx ON dirty_range (asset, series_id);

CREATE TABLE features (
  hour_start TIMESTAMP WITH TIME ZONE NOT NULL,
  series_id INTEGER NOT NULL,
  run_id INTEGER NOT NULL,
  as_of_bar TIMESTAMP WITH TIME ZONE,
  is_new_bar BOOLEAN NOT NULL,
  status TEXT NOT NULL,
  close DOUBLE PRECISION,
  tick DOUBLE PRECISION,
  atr DOUBLE PRECISION,
  efficiency_ratio DOUBLE PRECISION,
  adx DOUBLE PRECISION,
  is_adx_rising BOOLEAN NOT NULL,
  adx_change DOUBLE PRECISION,
  dm_direction TEXT NOT NULL,
  efficiency_ratio_short DOUBLE PRECISION,
  bars_since_extreme INTEGER NOT NULL,
  slope_t DOUBLE PRECISION,
  donchian_excess_atr DOUBLE PRECISION,
  direction TEXT NOT NULL,
  variance_ratio_z DOUBLE PRECISION,
  ou_t DOUBLE PRECISION,
  ou_half_life_bars DOUBLE PRECISION,
  median_crossings DOUBLE PRECISION,
  autocorrelation DOUBLE PRECISION,
  log_volatility DOUBLE PRECISION,
  vol_log_ratio DOUBLE PRECISION,
  atr_change_log DOUBLE PRECISION,
  vol_of_vol DOUBLE PRECISION,
  vol_direction TEXT NOT NULL,
  hurst DOUBLE PRECISION,
  quantile_low DOUBLE PRECISION,
  quantile_high DOUBLE PRECISION,
  donchian_low DOUBLE PRECISION,
  donchian_high DOUBLE PRECISION,
  pivot_low DOUBLE PRECISION,
  pivot_high DOUBLE PRECISION,
  profile_low DOUBLE PRECISION,
  profile_high DOUBLE PRECISION,
  channel_low DOUBLE PRECISION,
  channel_high DOUBLE PRECISION,
  range_methods INTEGER NOT NULL,
  range_low DOUBLE PRECISION,
  range_high DOUBLE PRECISION,
  range_agreement DOUBLE PRECISION,
  range_confidence DOUBLE PRECISION,
  range_width_atr DOUBLE PRECISION,
  containment DOUBLE PRECISION,
  touches_low INTEGER NOT NULL,
  touches_high INTEGER NOT NULL,
  traversals INTEGER NOT NULL,
  net_displacement DOUBLE PRECISION,
  failed_breakouts DOUBLE PRECISION,
  policy_hash TEXT NOT NULL,
  CONSTRAINT features_pkey PRIMARY KEY (series_id, hour_start),
  CONSTRAINT features_status_check CHECK (status IN ('OK', 'INCOMPLETE_WINDOW', 'WARMING_UP')),
  CONSTRAINT features_dm_direction_check CHECK (dm_direction IN ('flat', 'up', 'down')),
  CONSTRAINT features_direction_check CHECK (direction IN ('flat', 'up', 'down')),
  CONSTRAINT features_vol_direction_check CHECK (vol_direction IN ('steady', 'expanding', 'contracting'))
)
 WITH (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

CREATE TABLE grid_advice (
  hour_start TIMESTAMP WITH TIME ZONE NOT NULL,
  series_id INTEGER NOT NULL,
  run_id INTEGER NOT NULL,
  as_of_bar TIMESTAMP WITH TIME ZONE,
  is_new_bar BOOLEAN NOT NULL,
  status TEXT NOT NULL,
  action TEXT NOT NULL,
  enabled BOOLEAN NOT NULL,
  is_actionable BOOLEAN NOT NULL,
  inventory TEXT NOT NULL,
  config_version INTEGER NOT NULL,
  closes_outside INTEGER NOT NULL,
  iou DOUBLE PRECISION,
  lower_offset_atr DOUBLE PRECISION,
  upper_offset_atr DOUBLE PRECISION,
  configured_levels INTEGER NOT NULL,
  configured_net_gain_bps DOUBLE PRECISION,
  capacity_then DOUBLE PRECISION,
  capacity_now DOUBLE PRECISION,
  capacity_levels_now INTEGER NOT NULL,
  capacity_net_gain_now_bps DOUBLE PRECISION,
  bars_since_reposition DOUBLE PRECISION,
  proposed_lower DOUBLE PRECISION,
  proposed_upper DOUBLE PRECISION,
  reasons JSONB NOT NULL,
  stopped_at TIMESTAMP WITH TIME ZONE,
  gate_state TEXT NOT NULL,
  gate_bars INTEGER NOT NULL,
  gate_held INTEGER NOT NULL,
  gate_checks JSONB NOT NULL,
  restart_grid JSONB NOT NULL,
  policy_hash TEXT NOT NULL,
  CONSTRAINT grid_advice_pkey PRIMARY KEY (series_id, hour_start),
  CONSTRAINT grid_advice_status_check CHECK (status IN ('OK', 'NO_GRID', 'NO_VERDICT')),
  CONSTRAINT grid_advice_action_check CHECK (action IN ('NONE', 'KEEP', 'ENABLE', 'STOP_PLACING', 'REPOSITION')),
  CONSTRAINT grid_advice_inventory_check CHECK (inventory IN ('NONE', 'KEEP', 'CLOSE_AT_LIMIT')),
  CONSTRAINT grid_advice_gate_state_check CHECK (gate_state IN ('NONE', 'GATE_1', 'GATE_2', 'GATE_3', 'PASSED', 'PERMITTED'))
)
 WITH (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

CREATE TABLE grid_config (
  symbol TEXT NOT NULL,
  version INTEGER NOT NULL,
  valid_from TIMESTAMP WITH TIME ZONE NOT NULL,
  recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  config JSONB NOT NULL,
  CONSTRAINT grid_config_pkey PRIMARY KEY (symbol, version)
);

CREATE TABLE grid_stop (
  symbol TEXT NOT NULL,
  stopped_at TIMESTAMP WITH TIME ZONE NOT NULL,
  recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  cause TEXT NOT NULL,
  who TEXT NOT NULL,
  why TEXT NOT NULL,
  CONSTRAINT grid_stop_pkey PRIMARY KEY (symbol, stopped_at)
);

CREATE TABLE hook_request (
  request_id TEXT NOT NULL,
  question JSONB NOT NULL,
  answer JSONB,
  asked_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT hook_request_pkey PRIMARY KEY (request_id)
);

CREATE TABLE partition_ledger (
  day TIMESTAMP WITH TIME ZONE NOT NULL,
  updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  series_id INTEGER NOT NULL,
  asset TEXT NOT NULL,
  content_hash BIGINT[] NOT NULL,
  row_count INTEGER[] NOT NULL,
  run_id INTEGER[] NOT NULL,
  CONSTRAINT partition_ledger_pkey PRIMARY KEY (asset, series_id, day)
);

CREATE TABLE regime_period (
  t0 TIMESTAMP WITH TIME ZONE NOT NULL,
  t1 TIMESTAMP WITH TIME ZONE NOT NULL,
  series_id INTEGER NOT NULL,
  n INTEGER NOT NULL,
  conf_avg REAL NOT NULL,
  conf_min REAL NOT NULL,
  conf_max REAL NOT NULL,
  regime SMALLINT NOT NULL,
  is_open BOOLEAN NOT NULL,
  CONSTRAINT regime_period_pkey PRIMARY KEY (series_id, t0)
);

CREATE INDEX regime_period_regime_idx ON regime_period (regime, series_id, t0);

CREATE TABLE regime_state (
  state SMALLINT NOT NULL,
  trend_state TEXT NOT NULL,
  volatility_state TEXT NOT NULL,
  momentum_state TEXT NOT NULL,
  full_regime TEXT NOT NULL,
  simplified_regime TEXT NOT NULL,
  CONSTRAINT regime_state_pkey PRIMARY KEY (state),
  CONSTRAINT regime_state_simplified_regime_check CHECK (simplified_regime IN ('UNDEFINED', 'TREND_UP', 'TREND_DOWN', 'RANGE', 'CHOPPY', 'NEUTRAL'))
);

CREATE TABLE regime_verdicts (
  hour_start TIMESTAMP WITH TIME ZONE NOT NULL,
  series_id INTEGER NOT NULL,
  run_id INTEGER NOT NULL,
  as_of_bar TIMESTAMP WITH TIME ZONE,
  is_new_bar BOOLEAN NOT NULL,
  verdict TEXT NOT NULL,
  instant_verdict TEXT NOT NULL,
  confidence DOUBLE PRECISION,
  completeness DOUBLE PRECISION,
  consensus DOUBLE PRECISION,
  direction TEXT NOT NULL,
  dominant_risk TEXT NOT NULL,
  weight_range_ok DOUBLE PRECISION,
  weight_range_weak DOUBLE PRECISION,
  weight_trend DOUBLE PRECISION,
  weight_transition DOUBLE PRECISION,
  is_rule_override BOOLEAN NOT NULL,
  range_low DOUBLE PRECISION,
  range_high DOUBLE PRECISION,
  range_confidence DOUBLE PRECISION,
  competing JSONB NOT NULL,
  factors JSONB NOT NULL,
  policy_hash TEXT NOT NULL,
  CONSTRAINT regime_verdicts_pkey PRIMARY KEY (series_id, hour_start),
  CONSTRAINT regime_verdicts_verdict_check CHECK (verdict IN ('INSUFFICIENT_DATA', 'RANGE_OK', 'RANGE_WEAK', 'TREND', 'TRANSITION')),
  CONSTRAINT regime_verdicts_instant_verdict_check CHECK (instant_verdict IN ('INSUFFICIENT_DATA', 'RANGE_OK', 'RANGE_WEAK', 'TREND', 'TRANSITION')),
  CONSTRAINT regime_verdicts_direction_check CHECK (direction IN ('flat', 'up', 'down')),
  CONSTRAINT regime_verdicts_dominant_risk_check CHECK (dominant_risk IN ('NONE', 'TREND', 'TRANSITION'))
)
 WITH (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

CREATE TABLE runs (
  run_id INTEGER GENERATED ALWAYS AS IDENTITY,
  dagster_run_id TEXT,
  code_version TEXT NOT NULL,
  config_hash TEXT NOT NULL,
  started_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  dirty_mark BIGINT NOT NULL,
  CONSTRAINT runs_pkey PRIMARY KEY (run_id)
);

CREATE TABLE scores (
  hour_start TIMESTAMP WITH TIME ZONE NOT NULL,
  series_id INTEGER NOT NULL,
  run_id INTEGER NOT NULL,
  as_of_bar TIMESTAMP WITH TIME ZONE,
  is_new_bar BOOLEAN NOT NULL,
  status TEXT NOT NULL,
  ranked_observations INTEGER NOT NULL,
  rank_efficiency_ratio DOUBLE PRECISION,
  rank_adx DOUBLE PRECISION,
  rank_slope_t DOUBLE PRECISION,
  rank_donchian_excess_atr DOUBLE PRECISION,
  rank_variance_ratio_z DOUBLE PRECISION,
  rank_ou_t DOUBLE PRECISION,
  rank_median_crossings DOUBLE PRECISION,
  rank_autocorrelation DOUBLE PRECISION,
  rank_log_volatility DOUBLE PRECISION,
  rank_vol_log_ratio DOUBLE PRECISION,
  trend_score DOUBLE PRECISION,
  mean_rev_score DOUBLE PRECISION,
  vol_change_score DOUBLE PRECISION,
  range_quality_score DOUBLE PRECISION,
  grid_capacity_score DOUBLE PRECISION,
  grid_levels INTEGER NOT NULL,
  grid_net_gain_bps DOUBLE PRECISION,
  trend_votes INTEGER NOT NULL,
  is_trend_confirmed BOOLEAN NOT NULL,
  policy_hash TEXT NOT NULL,
  CONSTRAINT scores_pkey PRIMARY KEY (series_id, hour_start),
  CONSTRAINT scores_status_check CHECK (status IN ('OK', 'INCOMPLETE_WINDOW', 'WARMING_UP'))
)
 WITH (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

CREATE TABLE series (
  series_id INTEGER GENERATED ALWAYS AS IDENTITY,
  venue TEXT NOT NULL,
  symbol TEXT NOT NULL,
  timeframe TEXT NOT NULL,
  step INTERVAL NOT NULL,
  price_scale BIGINT NOT NULL,
  CONSTRAINT series_pkey PRIMARY KEY (series_id),
  CONSTRAINT series_key UNIQUE (symbol, timeframe),
  CONSTRAINT series_price_scale_check CHECK (price_scale > 0)
);

CREATE VIEW market_regimes AS
SELECT s.symbol, s.timeframe, r.open_time, x.trend_state, x.volatility_state, x.momentum_state, x.full_regime,
  x.simplified_regime, r.confidence, u.started_at AS created_at, r.run_id
FROM candle_regime r
JOIN series s USING (series_id)
JOIN regime_state x USING (state)
LEFT JOIN runs u ON u.run_id = r.run_id;

CREATE VIEW market_periods AS
SELECT s.symbol, s.timeframe,
  (ARRAY['UNDEFINED', 'TREND_UP', 'TREND_DOWN', 'RANGE', 'CHOPPY', 'NEUTRAL'])[p.regime + 1] AS simplified_regime,
  p.t0 AS start_time, p.t1 AS end_time, p.n AS candles, p.is_open, p.conf_avg AS confidence_avg,
  p.conf_min AS confidence_min, p.conf_max AS confidence_max
FROM regime_period p
JOIN series s USING (series_id);

CREATE VIEW market_candles AS
SELECT s.symbol, s.timeframe, t.open_time, t.open, t.high, t.low, t.close, t.volume, t.run_id
FROM candles t
JOIN series s USING (series_id);

CREATE VIEW market_candle_hours AS
SELECT s.symbol, s.timeframe, t.hour_start, t.expected, t.present, t.status, t.run_id
FROM candle_hours t
JOIN series s USING (series_id);

CREATE VIEW market_candle_revisions AS
SELECT s.symbol, s.timeframe, v.open_time, v.revised_at, v.old_open, v.old_high, v.old_low, v.old_close,
  v.old_volume, v.is_removed, v.old_run_id, v.run_id
FROM candle_revisions v
JOIN series s USING (series_id);

CREATE VIEW market_features AS
SELECT s.symbol, s.timeframe, t.hour_start, t.as_of_bar, t.is_new_bar, t.status, t.close, t.tick, t.atr,
  t.efficiency_ratio, t.adx, t.is_adx_rising, t.adx_change, t.dm_direction, t.efficiency_ratio_short,
  t.bars_since_extreme, t.slope_t, t.donchian_excess_atr, t.direction, t.variance_ratio_z, t.ou_t,
  t.ou_half_life_bars, t.median_crossings, t.autocorrelation, t.log_volatility, t.vol_log_ratio, t.atr_change_log,
  t.vol_of_vol, t.vol_direction, t.hurst, t.quantile_low, t.quantile_high, t.donchian_low, t.donchian_high,
  t.pivot_low, t.pivot_high, t.profile_low, t.profile_high, t.channel_low, t.channel_high, t.range_methods,
  t.range_low, t.range_high, t.range_agreement, t.range_confidence, t.range_width_atr, t.containment, t.touches_low,
  t.touches_high, t.traversals, t.net_displacement, t.failed_breakouts, t.policy_hash, t.run_id
FROM features t
JOIN series s USING (series_id);

CREATE VIEW market_scores AS
SELECT s.symbol, s.timeframe, t.hour_start, t.as_of_bar, t.is_new_bar, t.status, t.ranked_observations,
  t.rank_efficiency_ratio, t.rank_adx, t.rank_slope_t, t.rank_donchian_excess_atr, t.rank_variance_ratio_z,
  t.rank_ou_t, t.rank_median_crossings, t.rank_autocorrelation, t.rank_log_volatility, t.rank_vol_log_ratio,
  t.trend_score, t.mean_rev_score, t.vol_change_score, t.range_quality_score, t.grid_capacity_score, t.grid_levels,
  t.grid_net_gain_bps, t.trend_votes, t.is_trend_confirmed, t.policy_hash, t.run_id
FROM scores t
JOIN series s USING (series_id);

CREATE VIEW market_verdicts AS
SELECT s.symbol, s.timeframe, t.hour_start, t.as_of_bar, t.is_new_bar, t.verdict, t.instant_verdict, t.confidence,
  t.completeness, t.consensus, t.direction, t.dominant_risk, t.weight_range_ok, t.weight_range_weak, t.weight_trend,
  t.weight_transition, t.is_rule_override, t.range_low, t.range_high, t.range_confidence, t.competing, t.factors,
  t.policy_hash, t.run_id
FROM regime_verdicts t
JOIN series s USING (series_id);

CREATE VIEW market_grid_advice AS
SELECT s.symbol, s.timeframe, t.hour_start, t.as_of_bar, t.is_new_bar, t.status, t.action, t.enabled, t.is_actionable,
  t.inventory, t.config_version, t.closes_outside, t.iou, t.lower_offset_atr, t.upper_offset_atr,
  t.configured_levels, t.configured_net_gain_bps, t.capacity_then, t.capacity_now, t.capacity_levels_now,
  t.capacity_net_gain_now_bps, t.bars_since_reposition, t.proposed_lower, t.proposed_upper, t.reasons, t.stopped_at,
  t.gate_state, t.gate_bars, t.gate_held, t.gate_checks, t.restart_grid, t.policy_hash, t.run_id
FROM grid_advice t
JOIN series s USING (series_id);

CREATE VIEW market_dashboard_hours AS
SELECT s.symbol, s.timeframe, t.hour_start, t.as_of_bar, t.hour_status, t.open, t.high, t.low, t.close, t.volume,
  t.verdict, t.confidence, t.direction, t.dominant_risk, t.trend_score, t.mean_rev_score, t.vol_change_score,
  t.range_quality_score, t.grid_capacity_score, t.range_low, t.range_high, t.range_confidence, t.candle_state,
  t.candle_confidence, t.reason, t.policy_hash, t.run_id
FROM dashboard_hours t
JOIN series s USING (series_id);

CREATE VIEW market_partitions AS
SELECT l.asset, s.symbol, s.timeframe, l.day + (h.hour - 1) * interval '1 hour' AS hour_start, h.row_count,
  h.content_hash, h.run_id, u.code_version, u.config_hash, l.updated_at
FROM partition_ledger l
JOIN series s USING (series_id)
CROSS JOIN LATERAL unnest(l.row_count, l.content_hash, l.run_id) WITH ORDINALITY
  AS h (row_count, content_hash, run_id, hour)
JOIN runs u ON u.run_id = h.run_id;

INSERT INTO regime_state VALUES
(0, 'undefined', 'undefined', 'undefined', 'UNDEFINED', 'UNDEFINED'),
(1, 'neutral', 'low', 'weak', 'NEUTRAL_LOWVOL_WEAK', 'RANGE'),
(2, 'neutral', 'low', 'bullish', 'NEUTRAL_LOWVOL_BULLISH', 'RANGE'),
(3, 'neutral', 'low', 'bearish', 'NEUTRAL_LOWVOL_BEARISH', 'RANGE'),
(4, 'neutral', 'high', 'weak', 'NEUTRAL_HIGHVOL_WEAK', 'CHOPPY'),
(5, 'neutral', 'high', 'bullish', 'NEUTRAL_HIGHVOL_BULLISH', 'NEUTRAL'),
(6, 'neutral', 'high', 'bearish', 'NEUTRAL_HIGHVOL_BEARISH', 'NEUTRAL'),
(7, 'uptrend', 'low', 'weak', 'UPTREND_LOWVOL_WEAK', 'NEUTRAL'),
(8, 'uptrend', 'low', 'bullish', 'UPTREND_LOWVOL_BULLISH', 'TREND_UP'),
(9, 'uptrend', 'low', 'bearish', 'UPTREND_LOWVOL_BEARISH', 'NEUTRAL'),
(10, 'uptrend', 'high', 'weak', 'UPTREND_HIGHVOL_WEAK', 'NEUTRAL'),
(11, 'uptrend', 'high', 'bullish', 'UPTREND_HIGHVOL_BULLISH', 'TREND_UP'),
(12, 'uptrend', 'high', 'bearish', 'UPTREND_HIGHVOL_BEARISH', 'NEUTRAL'),
(13, 'downtrend', 'low', 'weak', 'DOWNTREND_LOWVOL_WEAK', 'NEUTRAL'),
(14, 'downtrend', 'low', 'bullish', 'DOWNTREND_LOWVOL_BULLISH', 'NEUTRAL'),
(15, 'downtrend', 'low', 'bearish', 'DOWNTREND_LOWVOL_BEARISH', 'TREND_DOWN'),
(16, 'downtrend', 'high', 'weak', 'DOWNTREND_HIGHVOL_WEAK', 'NEUTRAL'),
(17, 'downtrend', 'high', 'bullish', 'DOWNTREND_HIGHVOL_BULLISH', 'NEUTRAL'),
(18, 'downtrend', 'high', 'bearish', 'DOWNTREND_HIGHVOL_BEARISH', 'TREND_DOWN');
