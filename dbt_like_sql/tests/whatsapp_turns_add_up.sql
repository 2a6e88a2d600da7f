-- Each customer turn is answered in its window or late, lapsed, closed before that, or still open.
{{ config(meta={'by_day': true}) }}
select created_day, department_id, turns
  from {{ ref('whatsapp_window_daily') }}
 where turns <> answered_in_window + answered_late + lapsed_unanswered + closed_unanswered_in_window + n_open
