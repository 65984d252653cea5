INSERT INTO fester_sources (id, name, passes, edition) VALUES (1, 'https://gitlab.test', 1, 4);
INSERT INTO fester_sweeps (id, source_id, reading, began, files, listed, rules, edition)
VALUES (7, 1, '', 1764000000000000, '["qm.yaml"]', 1, '', 3);
INSERT INTO fester_sweeps (id, source_id, reading, began, files, listed, rules, edition)
VALUES (8, 1, '', 1764000001000000, '[]', 1, 'abc', 4);
