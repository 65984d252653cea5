INSERT INTO fester_sources (id, name, passes, edition) VALUES (1, 'https://gitlab.test', 1, 4);
INSERT INTO fester_sweeps (id, source_id, reading, began, files, listed, rules, edition)
VALUES (7, 1, '', 1764000000000000, '["qm.yaml"]', 1, '', 3);
INSERT INTO fester_sweeps (id, source_id, reading, began, files, listed, rules, edition)
VALUES (8, 1, '', 1764000001000000, '[]', 1, 'abc', 4);
INSERT INTO fester_parts (sweep_id, number, projects, count, state, fence, worker, reason, found, taken)
VALUES (7, 0, X'480d8b8e36d4514a2fca2f2dd02f30548a8d05002aa2050f', 1, 'waiting', 0, '""', '""', NULL, 0);
INSERT INTO fester_parts (sweep_id, number, projects, count, state, fence, worker, reason, found, taken)
VALUES (8, 0, X'480d8b564acecf2dc8cf4bcd2bb14a494d4b2ccd29d14f4e2c2a518a0500852c09c8', 1, 'waiting', 0, '""', '""', NULL, 0);
