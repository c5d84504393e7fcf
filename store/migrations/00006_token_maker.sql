-- Who made a token in another person's name: he cannot agree to what it asks.
ALTER TABLE tokens ADD COLUMN maker TEXT NOT NULL DEFAULT '';
