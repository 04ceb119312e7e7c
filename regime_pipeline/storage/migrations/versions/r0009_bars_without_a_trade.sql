-- Of a quiet market bars without a trade are stored; whoever reads the view sees which they are.
CREATE OR REPLACE VIEW market_candles AS
SELECT s.symbol, s.timeframe, t.open_time, t.open, t.high, t.low, t.close, t.volume, t.run_id,
  t.volume = 0 AND t.low = t.high AS is_no_trade
FROM candles t
JOIN series s USING (series_id);
