CREATE TABLE docs (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    title      text,
    body       text,
    section    text,
    updated_at timestamptz NOT NULL DEFAULT now()
);

ALTER TABLE docs REPLICA IDENTITY FULL;

INSERT INTO docs (title, body, section) VALUES
    ('Change data capture', 'A change that is committed to the database is written to a topic, in the order of its commit. Who reads the topic sees every change once.', 'streams'),
    ('Compaction', 'A compacted topic keeps the last record of every key. It can be read again from its beginning for ever, and is as large as the table.', 'streams'),
    ('Vector search', 'Passages and questions are encoded by the same model. The passages whose vectors are nearest to the question''s answer it.', 'search');

