"""What `samples.db` holds, and the statements that change it.

account     one row: `accounts.Accounts` as JSON, and its CRC-32
version     model versions that predictions are of, with the names of their classes
prediction  answers that were kept: of classes `output` is two arrays of 4-byte numbers, indices and scores, else
            it is empty; `inputs` as `form` packs them, until feedback has made samples of them
feedback    the truth about each row of a prediction
sample      inputs and label of one example; `prediction` and `place` say which row feedback made it of
batch       names of samples that came together, so that they are kept once, the newest `BATCHES`
"""

VERSION = 1
BATCHES = 4096

SCHEMA = """
create table if not exists account (one integer primary key check (one = 1), content blob not null, crc integer);
create table if not exists version (
    number integer primary key, manifest text not null unique, model text not null, version integer not null,
    labels blob not null
);
create table if not exists prediction (
    number integer primary key autoincrement, id text not null, version integer not null, at real not null,
    rows integer not null, size integer not null, output blob not null, parts text, inputs blob
);
create index if not exists prediction_id on prediction (id) where id != '';
create table if not exists feedback (
    prediction integer not null, place integer not null, version integer not null, at real not null,
    label blob not null, correct integer, primary key (prediction, place)
) without rowid;
create table if not exists sample (
    number integer primary key autoincrement, model text not null, form text not null, at real not null,
    crc integer not null, size integer not null, prediction integer, place integer, label blob not null,
    inputs blob not null
);
create index if not exists sample_of on sample (model, number, prediction);
create unique index if not exists sample_from on sample (prediction, place) where prediction is not null;
create table if not exists batch (number integer primary key autoincrement, id text not null unique, count integer);
"""

READ_ACCOUNT = "select content, crc from account"
WRITE_ACCOUNT = "insert or replace into account (one, content, crc) values (1, ?, ?)"
KEEP_VERSION = "insert or ignore into version (manifest, model, version, labels) values (?, ?, ?, ?)"
VERSION_NUMBER = "select number from version where manifest = ?"

KEEP_PREDICTION = """
insert into prediction (id, version, at, rows, size, output, parts, inputs) values (?, ?, ?, ?, ?, ?, ?, ?)
"""
NAMED = """
select prediction.number, version.number, version.model, version.version, labels, rows, output, parts, inputs
from prediction join version on version.number = prediction.version
where id = ? order by prediction.number desc limit 1
"""
DROP_INPUTS = "update prediction set parts = null, inputs = null, size = size - ? where number = ?"
FEEDBACK_GIVEN = "select count(*) from feedback where prediction = ?"
KEEP_FEEDBACK = """
insert into feedback (prediction, place, version, at, label, correct) values (?, ?, ?, ?, ?, ?)
on conflict (prediction, place) do update set label = excluded.label, correct = excluded.correct, at = excluded.at
"""
OUTCOMES = """
select correct from feedback join version on version.number = feedback.version
where model = ? and version.version = ? and correct is not null order by prediction desc, place desc limit ?
"""

KEEP_SAMPLE = """
insert into sample (model, form, at, crc, size, prediction, place, label, inputs) values (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
MADE_OF = "select number, form, inputs from sample where prediction = ? order by place"
RELABEL = "update sample set label = ?, form = ?, crc = ?, at = ? where number = ?"
KNOWN_BATCH = "select count from batch where id = ?"
KEEP_BATCH = "insert into batch (id, count) values (?, ?)"
TRIM_BATCHES = "delete from batch where number <= (select max(number) from batch) - ?"

OLDEST_PREDICTIONS = "select number, at, size from prediction order by number limit ?"
OLDEST_SAMPLES = "select number, at, size from sample order by number limit ?"
DROP_PREDICTIONS = "delete from prediction where number <= ?"
DROP_FEEDBACK = "delete from feedback where prediction <= ?"
DROP_SAMPLES = "delete from sample where number <= ?"
DROP_SAMPLE = "delete from sample where number = ?"

NEWEST_FORM = "select form from sample where model = ? order by number desc limit 1"
BEGIN = "select number from sample where model = ? and form = ? and at >= ? order by number desc limit 1 offset ?"
END = "select coalesce(max(number), 0) from sample where model = ?"
PAGE = """
select number, at, crc, size, prediction is not null, label, inputs from sample
where model = ? and form = ? and at >= ? and number > ? and number <= ? order by number limit ?
"""
BY_MODEL = "select model, count(*), count(prediction) from sample group by model order by model"
"""From its index alone."""
