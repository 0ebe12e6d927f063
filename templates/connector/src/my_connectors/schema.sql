CREATE TABLE IF NOT EXISTS models (
    id INTEGER PRIMARY KEY,
    aggregator TEXT NOT NULL,
    requirement TEXT NOT NULL,
    arguments TEXT NOT NULL,
    furthest_base INTEGER,
    active INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS clients (
    model INTEGER NOT NULL REFERENCES models (id) ON DELETE CASCADE,
    client TEXT NOT NULL,
    PRIMARY KEY (model, client)
);
CREATE TABLE IF NOT EXISTS aggregates (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    model INTEGER NOT NULL REFERENCES models (id) ON DELETE CASCADE,
    parent INTEGER REFERENCES aggregates (id),
    data TEXT NOT NULL,
    run TEXT NOT NULL UNIQUE
);
CREATE TABLE IF NOT EXISTS updates (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    model INTEGER NOT NULL REFERENCES models (id) ON DELETE CASCADE,
    client TEXT NOT NULL,
    data TEXT NOT NULL,
    base INTEGER REFERENCES aggregates (id),
    state TEXT NOT NULL DEFAULT 'waiting',
    reason TEXT NOT NULL DEFAULT ''
);
-- At most one run a model: whoever inserts the row has it.
CREATE TABLE IF NOT EXISTS runs (
    model INTEGER PRIMARY KEY REFERENCES models (id) ON DELETE CASCADE,
    run TEXT NOT NULL UNIQUE,
    until REAL NOT NULL
);
