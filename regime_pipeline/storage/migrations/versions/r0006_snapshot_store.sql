-- Which snapshot store belongs to this database: its mark is in the store too, and a run compares the two before it
-- writes, so that a machine that lacks the shared folder says so instead of filling one of its own.
CREATE TABLE snapshot_store (
  is_only BOOLEAN DEFAULT true NOT NULL,
  mark TEXT NOT NULL,
  claimed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT snapshot_store_pkey PRIMARY KEY (is_only),
  CONSTRAINT snapshot_store_is_only_check CHECK (is_only)
);
