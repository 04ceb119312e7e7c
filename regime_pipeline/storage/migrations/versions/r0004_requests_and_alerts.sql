-- Webhook requests are dropped by age; the hours that they want collected.
CREATE INDEX hook_request_asked_idx ON hook_request (asked_at);

CREATE TABLE collect_request (
  symbol TEXT NOT NULL,
  timeframe TEXT NOT NULL,
  hour_start TIMESTAMP WITH TIME ZONE NOT NULL,
  asked_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  launched_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT collect_request_pkey PRIMARY KEY (symbol, timeframe, hour_start)
);

-- Which alerts were sent on which channel: none is sent twice.
CREATE TABLE alert_log (
  alert_id TEXT NOT NULL,
  channel TEXT NOT NULL,
  message TEXT NOT NULL,
  sent_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT alert_log_pkey PRIMARY KEY (alert_id, channel)
);

-- When a regime was written: the moment of the write, which a run's start is not. NULL for rows of before.
ALTER TABLE candle_regime ADD COLUMN written_at TIMESTAMP WITH TIME ZONE;
ALTER TABLE candle_regime ALTER COLUMN written_at SET DEFAULT now();
CREATE INDEX candle_regime_state_idx ON candle_regime (state);
CREATE INDEX candle_regime_confidence_idx ON candle_regime (confidence);

CREATE OR REPLACE VIEW market_regimes AS
SELECT s.symbol, s.timeframe, r.open_time, x.trend_state, x.volatility_state, x.momentum_state, x.full_regime,
  x.simplified_regime, r.confidence, COALESCE(r.written_at, u.started_at) AS created_at, r.run_id
FROM candle_regime r
JOIN series s USING (series_id)
JOIN regime_state x USING (state)
LEFT JOIN runs u ON u.run_id = r.run_id;
