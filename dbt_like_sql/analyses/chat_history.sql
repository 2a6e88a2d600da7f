-- One chat with what was written, for managers: psql -v chat=KEY, where KEY is B2Chat's own. A chat without messages is
-- told once. Messages that a newer answer of the API lacks are left out.
select chat.b2chat_id, chat.status, chat.created_at, chat.closed_at,
       message.timestamp as sent_at, message.incoming, message.type, message.text, message.caption
  from public.chats as chat
  left join public.messages as message on message.chat_id = chat.id and message.superseded_at is null
 where chat.b2chat_id = :'chat'
 order by message.timestamp, message.position;
