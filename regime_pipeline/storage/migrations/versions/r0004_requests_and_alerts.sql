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
