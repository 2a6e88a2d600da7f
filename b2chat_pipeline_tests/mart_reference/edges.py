"""Chats on both sides of every limit that a mart draws, as SQL for a loaded account.

Times are counted from a full hour of the loaded days; the newest loaded hour ends 182 hours after it.
"""

# A chat: key, contact, when it was created, picked up, answered and closed, B2Chat's word for its status.
_CHATS = """
    create temp table edge (
        key text, contact text, created interval, picked interval, answered interval, closed interval,
        word text default 'CLOSED', provider text default 'whatsapp', available boolean default true
    ) on commit drop;

    -- First responses up to and beyond the bounds of each bucket, which those of the promise are among.
    insert into edge (key, created, picked, answered, closed)
    select 'answer-' || seconds, '0', '10 s', make_interval(secs => seconds), '47 h'
      from unnest(array[0, 60, 300, 900, 1800, 3600, 14400, 28800, 86400]) bound
     cross join lateral (values (bound), (bound + 1)) answer (seconds);
    -- Pick-ups and closings at their targets; of the same, some that were told that nobody was there.
    insert into edge (key, created, picked, answered, closed, available) values
        ('picked-120', '0', '120 s', '200 s', '7200 s', false), ('picked-121', '0', '121 s', '310 s', '7201 s', false),
        ('unpicked', '0', null, null, '119 s', false), ('never-picked', '0', null, null, '301 s', false),
        ('unanswered', '0', '10 s', null, '40 h', null), ('unanswered-open', '0', '10 s', null, null, false);
    update edge set word = 'PICKED_UP' where key = 'unanswered-open';
    -- Answered within an hour of the opening and not of the creation; open again with the old time of closing.
    insert into edge (key, created, picked, answered, closed, word) values
        ('opened-late', '0', '2 h', '2 h', '3 h', 'CLOSED'), ('reopened', '0', '10 s', null, '1 h', 'PICKED_UP');
    -- Open over full hours, and closed at the age at which a backlog puts them one step on.
    insert into edge (key, created, picked, closed)
    select 'aged-' || hours || '-' || seconds, '0', '0', make_interval(hours => hours, secs => seconds)
      from unnest(array[1, 4, 24, 72, 168]) hours cross join unnest(array[0, 1]) seconds;
    -- Closed at no time, at once, and by a word that nobody knows.
    insert into edge (key, created, picked, closed, word) values
        ('no-closing', '0', '1 h', null, 'CLOSED'), ('at-once', '0', '0', '0', 'CLOSED'),
        ('unopened', '0', null, null, 'OPENED'), ('unclaimed', '0', '1 h', '2 h', 'CLOSED'),
        ('unknown-open', '0', '1 h', null, 'NEW_WORD'), ('unknown-closed', '0', '1 h', '2 h', 'NEW_WORD');
    -- Created, and closed, as the newest loaded hour ends; closed after it.
    insert into edge (key, created, picked, closed) values
        ('until-created', '182 h', null, null), ('until-closed', '100 h', '101 h', '182 h'),
        ('until-later', '100 h', '101 h', '190 h');
    -- Whose 25 business hours end as business does; and begin at the end of an opening of 25 hours.
    insert into edge (key, created, picked, closed) values
        ('calm', '3 h', '4 h', '150 h'), ('calm-late', '81:30', '82 h', '176 h');
    insert into ops.business_hours values ('default', '2025-03-08 00:00Z', '2025-03-09 01:00Z');
    -- Chains: the third is a new one, the fourth belongs to it; the last can no longer, or still, be joined.
    insert into edge (key, contact, created, picked) values
        ('chain-1', 'chain', '0', '1 min'), ('chain-2', 'chain', '71:59:59', '72 h'),
        ('chain-3', 'chain', '143:59:59', '144 h'), ('chain-4', 'chain', '145 h', '145 h'),
        ('chain-5', 'joined', '110 h', '110 h'), ('chain-6', 'unjoined', '110:00:01', '111 h');
    -- Days and weeks before the newest loaded hour's end, to the second.
    insert into edge (key, contact, created, picked)
    select 'since-' || days || '-' || seconds, 'since-' || days,
           make_interval(hours => 182 - 24 * days, secs => seconds), make_interval(hours => 183 - 24 * days)
      from unnest(array[7, 30, 90]) days cross join unnest(array[-1, 0]) seconds;
    -- Returns at and after the end of each period, on another channel, by us, and at the closing itself.
    insert into edge (key, contact, created, picked, closed)
    select 'left-' || name, 'back-' || name, '-2 h', '-1 h', '0'
      from unnest(array['24', '24+', '72', '72+', '168', '168+', 'web', 'ours', 'same', 'again', 'alone']) name;
    insert into edge (key, contact, created, picked, provider) values
        ('back-24', 'back-24', '24 h', null, 'whatsapp'), ('back-24+', 'back-24+', '24:00:01', null, 'whatsapp'),
        ('back-72', 'back-72', '72 h', null, 'whatsapp'), ('back-72+', 'back-72+', '72:00:01', null, 'whatsapp'),
        ('back-168', 'back-168', '168 h', null, 'whatsapp'), ('back-168+', 'back-168+', '168:00:01', null, 'whatsapp'),
        ('back-web', 'back-web', '5 h', null, 'livechat'), ('ours', 'back-ours', '5 h', '5 h', 'whatsapp'),
        ('back-same', 'back-same', '0', null, 'whatsapp'), ('back-again', 'back-again', '5 h', null, 'whatsapp'),
        -- At one instant: the key decides which was first.
        ('first', 'twice', '20 h', null, 'whatsapp'), ('second', 'twice', '20 h', null, 'livechat');
    -- Whose period is over with the newest loaded hour, or a second later.
    insert into edge (key, contact, created, picked, closed)
    select 'over-' || hours || '-' || seconds, 'over-' || hours || '-' || seconds, '1 h', '1 h',
           make_interval(hours => 182 - hours, secs => seconds)
      from unnest(array[24, 72, 168]) hours cross join unnest(array[0, 1]) seconds;
    -- Months before, of which one ends with a contact's second chat.
    insert into edge (key, contact, created, picked) values
        ('january', 'old', '-1100 h', '-1100 h'), ('february', 'old', '-500 h', '-500 h'),
        ('march', 'old', '1 h', '1 h'), ('january-too', 'older', '-1200 h', '-1200 h'),
        ('march-too', 'older', '2 h', '2 h');
    -- More than a year before, when no calendar was known.
    insert into edge (key, contact, created, closed) values
        ('years-ago', 'oldest', '-9500 h', '-9499 h'), ('year-now', 'oldest', '3 h', '4 h');
    -- With the bot: contained, handed over, and still there.
    insert into edge (key, created, picked, closed, word) values
        ('bot-1', '0', null, '1 h', 'CLOSED'), ('bot-2', '0', null, '2 h', 'CLOSED'),
        ('bot-3', '0', null, null, 'BOT_CHATTING'), ('bot-4', '0', '1 h', null, 'PICKED_UP'),
        ('bot-5', '0', '1 h', '2 h', 'CLOSED'), ('bot-6', '0', null, '3 h', 'CLOSED');
    -- Surveys of one agent on one day.
    insert into edge (key, created, picked, answered, closed, word)
    select name, '0', '1 min', '2 min', '1 h', word
      from (values ('rated-3', 'COMPLETED_POLL'), ('rated-4', 'COMPLETED_POLL'), ('rated-5', 'COMPLETED_POLL'),
                   ('rated-also-4', 'COMPLETED_POLL'), ('rated-no', 'COMPLETED_POLL'),
                   ('rates', 'COMPLETING_POLL'), ('rates-not', 'ABANDONED_POLL')
           ) survey (name, word);
    -- Asked by an agent, who is not said to have answered, and never heard of again.
    insert into edge (key, created, picked, closed) values ('asked', '0', '1 h', '48 h');
    -- Created as business opens, and as it closes.
    insert into edge (key, created, picked) values ('opening', '-2 h', '0'), ('closing', '8 h', '9 h');
    -- Broadcasts answered within a day and three, and after; and unanswered until the newest loaded hour's end.
    insert into edge (key, contact, created, picked)
    select 'cast-' || name, 'cast', '80 h', '81 h'
      from unnest(array['24', '24+', '72', '72+', 'over', 'open', 'soon', 'over72', 'open72', 'gone']) name;
    insert into edge (key, created, picked) values ('cast-unknown', '80 h', '81 h');
    -- In nobody's hand, in hand without a message told, and taken after the newest loaded hour; of another agent.
    insert into edge (key, created, picked, closed) values
        ('hand-0', '-3 h', '-3 h', '-3 h'), ('hand-1', '0', '0', '1 h'),
        ('hand-untold', '2 h', '2 h', '4 h'), ('hand-late', '181 h', '183 h', null);
    -- Windows: answered and closed as one ends, and a second later.
    insert into edge (key, created, picked, answered, closed) values
        ('window-in', '0', '1 h', '24 h', '50 h'), ('window-late', '0', '1 h', '24:00:01', '50 h'),
        ('window-closed', '0', '1 h', null, '24 h'), ('window-lapsed', '0', '1 h', null, '24:00:01');
    -- At the bounds of what can be scored; and answered before they began.
    insert into edge (key, created, picked, answered, closed)
    select 'words-' || name, '0', '1 min', case when name = 'early' then '-1 min' else '2 min' end::interval, '5 h'
      from unnest(array['9', '10', 'long', 'too-long', 'early', 'by-broadcast', 'captioned', 'superseded',
                        'unsaid']) name;

    update edge set word = 'RESPONDED_BY_AGENT' where closed is null and word = 'CLOSED' and key <> 'no-closing';
    insert into agents (id, b2chat_id, name, read_at) values ('edge', 'edge', 'Edge', now());
    insert into departments (id, b2chat_code, name) values ('edge', 'edge', 'Outside the tree');
    insert into contacts (id, b2chat_id, full_name, read_at, row_hash)
    select distinct 'edge ' || contact, 'edge ' || contact, '', now(), ''::bytea from edge where contact is not null;
    insert into chats (id, b2chat_id, agent_id, contact_id, provider, status, raw_status, is_agent_available,
                       created_at, opened_at, picked_up_at, response_at, closed_at, messages_told, row_hash, read_at,
                       alias, department_id, tags)
    select 'edge ' || edge.key, 'edge ' || edge.key,
           case when edge.key like 'hand-%' then 'edge'
                when edge.picked is not null and edge.key <> 'unclaimed' then agent.id end,
           'edge ' || edge.contact, edge.provider::chat_provider,
           (case when edge.word = 'NEW_WORD' then 'unknown' when edge.word ~ 'CLOSED|POLL' then 'closed'
                 else 'open' end)::chat_status,
           edge.word, edge.available, base.at + edge.created,
           case edge.key
               when 'unopened' then null
               when 'opened-late' then base.at + edge.created + interval '1 hour'
               else base.at + edge.created
           end,
           base.at + edge.picked, base.at + edge.answered, base.at + edge.closed, true, ''::bytea,
           base.at + interval '182 hours',
           -- Every other one of no line; a line may be called as a tag is.
           case
               when edge.key like 'march%' then 'Zorro'
               when edge.key <> 'bot-3' and row_number() over (order by edge.key) % 2 = 0 then 'Edge'
           end,
           case when edge.key in ('opening', 'closing') then 'edge' end,
           case
               when edge.key in ('january', 'february') then array['Envío', 'Zorro']
               when edge.key like 'march%' then array['Envío']
               else '{}'
           end
      from edge
     cross join (select min(id) as id from agents where id <> 'edge') agent
     cross join (select timestamptz '2025-03-05 15:00Z' as at) base;
"""
# A message: whose, when counted from the same hour, from the customer or not, part of a broadcast, its text.
_MESSAGES = r"""
    create temp table said (key text, at interval, incoming boolean, broadcasted boolean, text text) on commit drop;
    insert into said
    select key, created, key <> 'ours' and key not like 'cast-%', key like 'cast-%', 'Hola'
      from edge where key not in ('unknown-open', 'hand-untold');
    insert into said select key, answered, false, false, 'Bien' from edge where answered is not null;
    insert into said
    select key, '2 h', true, false, right(key, 1) from edge where key ~ '^rated.*\d$';
    insert into said values
        ('rated-no', '2 h', true, false, 'no'), ('bot-5', '30 min', false, false, 'Un momento'),
        ('asked', '2 h', false, false, '¿Sigue ahí?'),
        ('cast-24+', '-1 h', true, false, 'Antes'), ('cast-24+', '1 h', false, false, 'Aquí'),
        ('cast-24+', '2 h', true, false, 'superseded'), ('cast-72+', '0', true, false, 'A la vez'),
        ('cast-72', '1 h', false, true, 'Otra'), ('cast-72', '3 h', false, true, 'superseded'),
        ('cast-soon', '159 h', true, false, 'Sí');
    insert into said values
        ('words-9', '1 h', true, false, 'Falta la factura del mes de marzo'), ('words-9', '2 h', true, false, ' '),
        ('words-9', '3 h', false, true, 'Solo hoy y solo aquí'),
        ('words-10', '1 h', true, false, E' Falta la  factura\n del mes de este marzo '),
        ('words-long', '1 h', true, false, 'long'), ('words-too-long', '1 h', true, false, 'too long'),
        ('words-early', '1 h', true, false, 'Uno dos tres cuatro cinco seis siete ocho nueve'),
        ('words-by-broadcast', '1 h', true, false, 'Uno dos tres cuatro cinco seis siete ocho nueve'),
        ('words-captioned', '1 h', true, false, 'Uno dos tres cuatro cinco seis siete ocho nueve'),
        ('words-superseded', '1 h', true, false, 'Uno dos tres cuatro cinco seis siete'),
        ('words-superseded', '2 h', true, false, 'superseded');
    update said set broadcasted = true where key = 'words-by-broadcast' and not incoming;
    update said set at = '0'
     where key in ('cast-24', 'cast-24+', 'cast-72', 'cast-72+', 'cast-unknown') and at = '80 h';
    update said set at = '158 h' where key in ('cast-over', 'cast-soon') and broadcasted;
    update said set at = '158:00:01' where key = 'cast-open';
    update said set at = '110 h' where key = 'cast-over72';
    update said set at = '110:00:01' where key = 'cast-open72';
    insert into said
    select 'cast-' || name, at::interval, true, false, 'Hola'
      from (values ('24', '24 h'), ('unknown', '24 h'), ('24+', '24:00:01'), ('72', '72 h'), ('72+', '72:00:01')
           ) reply (name, at);
    insert into messages (id, chat_id, text, type, raw_type, incoming, broadcasted, timestamp, position)
    select 'edge ' || key || at || text, 'edge ' || key, text, 'text', 'TEXT', incoming, broadcasted,
           timestamptz '2025-03-05 15:00Z' + at, row_number() over (partition by key order by at, incoming desc)
      from said;
    update messages set superseded_at = now() where text = 'superseded';
    update messages set text = repeat('ab ', 66663) || 'abc' where text = 'long';
    update messages set text = repeat('ab ', 66663) || 'abcd' where text = 'too long';
    update messages set type = 'image', caption = text, text = 'not read' where id ~ '^edge words-captioned.*Uno';
    update messages set broadcasted = null where chat_id = 'edge words-unsaid';
    update chats set is_deleted = true where id = 'edge cast-gone';
    update messages set type = 'image', media_backed_up = true
     where id in (select id from messages where type = 'file' order by md5(id) limit 5);
    insert into ops.chat_history (chat_id, field, old, new, seen_before, seen_at, sync_id)
    select 'edge ' || key, 'status', 'BOT_CHATTING', word, created_at, created_at + interval '1 day', 'a read'
      from edge join chats on chats.id = 'edge ' || key where key like 'bot-_' and key <> 'bot-3';
    insert into ops.chat_history (chat_id, field, old, new, seen_before, seen_at, sync_id)
    select 'edge ' || key, 'status', 'CLOSED', 'PICKED_UP', created_at, created_at + interval '1 hour', 'a read'
      from edge join chats on chats.id = 'edge ' || key
     where key in ('unanswered-open', 'left-again', 'left-alone', 'cast-gone');
    insert into ops.chat_history (chat_id, field, old, new, seen_before, seen_at, sync_id)
    select 'edge calm', 'deleted', 'CLOSED', 'OPENED', created_at, created_at + interval '1 hour', 'a read'
      from chats where id = 'edge calm';
"""
# Loads with every fate of a record, late to the second, beside the hours asked for, and hours that were never loaded.
_LOADS = """
    insert into ops.ledger (sync_id, entity, hour_start, received, inserted, updated, unchanged, repeated, older,
                            quarantined, outside, loaded_at)
    select 'edge ' || load.number, 'chats', base.at + load.hour * interval '1 hour', load.received, load.inserted,
           load.updated, load.unchanged, load.repeated, load.older, load.quarantined, load.outside,
           base.at + load.loaded::interval
      from (
        values
            (1, -10000, 9, 3, 0, 0, 1, 2, 3, 0, '-9999 h'), (2, -10000, 9, 1, 2, 3, 1, 1, 0, 1, '-9975 h'),
            (3, -9000, 2, 2, 0, 0, 0, 0, 0, 0, '-8999 h'), (4, -9000, 4, 2, 0, 2, 0, 0, 0, 0, '-8974:59:59'),
            (5, -9000, 4, 0, 0, 0, 0, 0, 0, 4, '-8974 h'), (6, -8000, 3, 0, 0, 0, 0, 0, 0, 3, '-7999 h'),
            (7, -7000, 9, 2, 1, 1, 1, 0, 4, 0, '-6999 h'), (8, -6000, 2, 0, 0, 0, 2, 0, 0, 0, '-5999 h'),
            (1, -5000, 2, 2, 0, 0, 0, 0, 0, 0, '-4900 h'), (2, -5000, 3, 0, 3, 0, 0, 0, 0, 0, '-4900 h')
           ) load (number, hour, received, inserted, updated, unchanged, repeated, older, quarantined, outside, loaded)
     cross join (select timestamptz '2025-03-05 15:00Z' as at) base;
    delete from ops.window_reads where hour_start in ('2025-03-04 15:00Z', '2025-03-04 16:00Z');
    update ops.window_reads set applied_read_at = null where hour_start = '2025-03-04 18:00Z';
    insert into ops.window_reads (endpoint, hour_start, sync_id, read_at, records)
    values ('/chats/export', '2025-03-13 05:00Z', 'edge', '2025-03-13 07:00Z', 0);
"""
# Scorings by two models and two versions of a prompt: repeated, by the second and at one instant; of satisfaction that
# is not known; of days of which only some chats were scored; of chats that are deleted, open again, or rated.
_SCORES = """
    insert into effectiveness_analysis (id, chat_id, user_id, effectiveness_score, response_time_score,
                                        resolution_score, customer_satisfaction, analysis_data, created_at)
    select 'edge ' || chat.number || judge.name || again.number, chat.id, (select min(id) from users),
           case when chat.number % 4 = 0 then level.resolution
                else 0.6 * level.resolution + 0.4 * level.satisfaction end,
           chat.number * 11 % 101, level.resolution, case when chat.number % 4 > 0 then level.satisfaction end,
           jsonb_build_object('model', judge.model, 'prompt_version', judge.version, 'satisfaction_basis',
                              case when chat.number % 4 = 0 then 'none' else 'messages' end),
           timestamptz '2025-03-13 15:00Z' + make_interval(secs => again.seconds)
      from (select id, row_number() over (order by md5(id)) as number from chats) chat
      join (values ('a', 'simulated-judge', '1', 3), ('b', 'simulated-judge', '2', 7), ('c', 'another', '1', 11)
           ) judge (name, model, version, every) on chat.number % judge.every = 0 or chat.id like 'edge rated-%'
      join (values (1, 60), (2, 0), (3, 60)) again (number, seconds) on again.number = 1 or chat.number % 9 = 0
     cross join lateral (select chat.number * 13 % 5 * 25 + again.number as resolution,
                                chat.number * 7 % 5 * 20 + again.number as satisfaction) level;
"""
# What was paid for these scores; and calls of each fate beside them, also about canaries and a chat that is not there.
_COSTS = """
    insert into ops.analysis_calls (id, chat_id, score_key, attempt, mode, user_id, model, prompt_version,
                                    terms_version, day, state, reserved_usd, cost_usd, outcome, reserved_at)
    select id, chat_id, ''::bytea, 1, case when ascii(right(md5(id), 1)) % 2 = 0 then 'batch' else 'direct' end,
           user_id, analysis_data ->> 'model', analysis_data ->> 'prompt_version', 1,
           date '2025-03-13' + ascii(md5(id)) % 3,
           'settled', 0.04, 0.00123457 * (1 + ascii(md5(id)) % 7), 'scored', created_at
      from effectiveness_analysis;
    insert into ops.analysis_calls (id, chat_id, score_key, attempt, mode, user_id, model, prompt_version,
                                    terms_version, day, state, reserved_usd, cost_usd, outcome, reserved_at)
    select concat_ws(' ', 'edge', chat.id, fate.state, fate.outcome, judge.model, judge.version), chat.id, ''::bytea, 1,
           'batch', (select min(id) from users), judge.model, judge.version, 1, date '2025-03-14', fate.state,
           fate.reserved, fate.cost, fate.outcome, timestamptz '2025-03-14 15:00Z'
      from (
        (select id from chats order by md5(id) desc limit 40) union all
        values ('edge calm'), ('edge calm-late'), ('edge reopened'), ('canary:plain'), ('canary'), ('gone')
           ) chat
     cross join (
        values ('simulated-judge', '1'), ('unscored', '1'), ('unscored', null)
           ) judge (model, version)
     cross join (
        values ('settled', 0.04, 0.00700001, 'refused'), ('settled', 0.04, 0.00600001, 'held'),
               ('lost', 0.03000001, null, 'failed'), ('released', 0.02, 0, null), ('reserved', 0.05000001, null, null)
           ) fate (state, reserved, cost, outcome)
     where chat.id !~ 'calm' or judge.model = 'unscored' and (fate.state = 'reserved') = (chat.id = 'edge calm-late')
    union all
    -- A day on which nothing but these was asked; the process of one died. Models that were asked about no closed chat.
    select concat_ws(' ', 'edge', alone.chat, alone.state), alone.chat, ''::bytea, 1, alone.mode,
           (select min(id) from users), 'asked of ' || alone.chat, '1', 1, date '2025-03-16', alone.state, 0.02, null,
           null, timestamptz '2025-03-16 15:00Z'
      from (
        values ('canary:plain', 'batch', 'reserved'), ('canary:plain', 'direct', 'lost'),
               ('edge reopened', 'direct', 'lost'), ('edge no-closing', 'direct', 'lost'),
               ((select min(id) from chats where is_deleted and closed_at is not null), 'direct', 'lost')
           ) alone (chat, mode, state);
"""
# Labels of two people, repeated and by another rubric; scorings of these chats by judges that are reported or on trial:
# repeated, with levels that are void or none, of nine chats and of ten, of one level only, of every length.
_LABELS = """
    create temp table labelled on commit drop as
    select id as chat_id, row_number() over (order by md5('label' || id)) as number from chats limit 60;
    insert into ops.analysis_labels (chat_id, labeller, rubric_version, labelled_at, language, levels, resolution,
                                     satisfaction, effectiveness, user_id, imported_at)
    select chat_id, labeller.name, labeller.rubric, timestamptz '2025-03-13 15:00Z' + labeller.after::interval,
           case when number % 3 > 0 then (array['es', 'pt'])[1 + number % 2] end,
           jsonb_strip_nulls(jsonb_build_object(
               'matter_settled', (number + labeller.shift) * 7 % 5 * 25,
               'questions_answered', (number + labeller.shift) % 3 * 50,
               'satisfaction', case when number % 6 > 0 then (number + labeller.shift) * 3 % 5 * 25 end,
               'ease', 50)),
           case when number % 11 > 0 then number * 7 % 5 * 25 + labeller.shift end, 50,
           case when number % 6 > 0 and number % 11 > 0 then number * 3 % 5 * 25 + labeller.shift end,
           (select min(id) from users), now()
      from labelled
      join (values ('A', 'R1', '0', 0, 1), ('B', 'R1', '1 day', 1, 5), ('C', 'R1', '1 day', 2, 10),
                   ('A', 'R2', '2 days', 3, 4)) labeller (name, rubric, after, shift, every)
        on labelled.number % labeller.every = 0;
    create temp table judged on commit drop as
    select labelled.chat_id, judge.prompt || ' ' || again.number || ' ' || labelled.chat_id as id, judge.is_trial,
           least(100, labelled.number * 7 % 5 * 25 + labelled.number % 4 * 6 + again.number) as resolution,
           least(100, labelled.number * 3 % 5 * 25 + labelled.number % 3 * 8 + again.number) as effectiveness,
           timestamptz '2025-03-14 15:00Z' + make_interval(secs => again.seconds) as created_at,
           jsonb_build_object(
               'model', 'labelled-judge', 'prompt_version', judge.prompt, 'rubric_version', judge.rubric,
               'satisfaction_basis', case when labelled.number % 7 = 0 then 'none' else 'messages' end,
               'language', case when labelled.number % 9 > 0 then 'ES' end,
               'analyzed_messages', labelled.number,
               'voided_criteria', case when labelled.number % 8 = 0 then '{"matter_settled": "x"}' else '{}' end::jsonb,
               'resolution_details', jsonb_build_object(
                   'matter_settled', jsonb_build_object(
                       'level', (labelled.number * 7 + labelled.number % 4 / 3 + again.number - 1) % 5 * 25),
                   'questions_answered', jsonb_build_object(
                       'level', case when labelled.number % 10 > 0 then labelled.number % 4 / 2 * 50 end),
                   'next_step_clear', jsonb_build_object('level', 25)),
               'sentiment_analysis', jsonb_build_object('criteria', jsonb_build_object(
                   'satisfaction', jsonb_build_object('level', labelled.number * 2 % 5 * 25),
                   'ease', jsonb_build_object('level', 50)))) as told
      from labelled
      join (values ('1', 'R1', false, 1, 60), ('2', 'R1', true, 1, 45), ('3', 'R1', true, 1, 10),
                   ('4', 'R1', false, 52, 60), ('1', 'R2', false, 1, 60), ('5', null, false, 1, 60)
           ) judge (prompt, rubric, is_trial, first, last)
        on labelled.number between judge.first and judge.last
      join (values (1, 60), (2, 0), (3, 60)) again (number, seconds)
        on again.number = 1 or labelled.number % 9 = 0 and judge.rubric = 'R1';
    insert into effectiveness_analysis (id, chat_id, user_id, effectiveness_score, response_time_score,
                                        resolution_score, customer_satisfaction, analysis_data, created_at)
    select id || (told ->> 'rubric_version'), chat_id, (select min(id) from users), effectiveness, 50, resolution, 50,
           told, created_at
      from judged where not is_trial and told ->> 'rubric_version' is not null;
    insert into ops.analysis_trials (id, chat_id, user_id, effectiveness_score, response_time_score, resolution_score,
                                     customer_satisfaction, analysis_data, created_at)
    select id, chat_id, (select min(id) from users), effectiveness, 50, resolution, 50, told, created_at
      from judged where is_trial or told ->> 'rubric_version' is null;
"""
EDGES = _CHATS + _MESSAGES + _LOADS + _SCORES + _COSTS + _LABELS
