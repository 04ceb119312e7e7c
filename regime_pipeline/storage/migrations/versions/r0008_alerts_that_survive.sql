-- An alert is claimed before it is sent, and sent_at says that its channel took it. What an older version claimed counts
-- as sent, as it did then.
ALTER TABLE alert_log ALTER COLUMN sent_at DROP NOT NULL, ALTER COLUMN sent_at DROP DEFAULT;
ALTER TABLE alert_log ADD COLUMN claimed_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now();
