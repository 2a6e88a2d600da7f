-- The messages without what was written or sent: of texts and captions their length, of media their kind and size.
-- Left out also: the key, which is a hash over the content, so that short texts could be guessed from it.
{{ config(materialized='view') }}

select chat_id,
       timestamp as sent_at,
       position,
       incoming,
       broadcasted,
       type::text as type,
       raw_type,
       length(text) as text_length,
       length(caption) as caption_length,
       media_size,
       media_mime_type,
       media_backed_up,
       superseded_at
  from {{ source('b2chat', 'messages') }}
