#!/bin/sh
# What must be there before any role starts: the list of markets, our tables, Dagster's tables. Run at every start, it leaves
# alone what is there.
set -e
shipped=$(dirname "$0")/markets.toml
if [ ! -e "$REGIME_HOME/markets.toml" ] && [ -e "$shipped" ]; then
  cp "$shipped" "$REGIME_HOME/markets.toml"
  echo "$REGIME_HOME/markets.toml is the shipped list of simulated markets; see docker/README.md for your own."
fi
regime db upgrade
dagster instance migrate
