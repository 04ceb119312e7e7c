"""The 3D regime of each candle: indicators, states, classifier, streaming, periods and their performance."""
