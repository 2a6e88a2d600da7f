-- No two rows of tag_mix_monthly share month and tag.
select month, tag
  from {{ ref('tag_mix_monthly') }}
 group by month, tag
having count(*) > 1
