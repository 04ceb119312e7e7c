"""Where candles come from; everything here gives closed candles and never fills a gap."""
