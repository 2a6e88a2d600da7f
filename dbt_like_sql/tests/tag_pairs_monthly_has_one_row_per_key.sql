-- No two rows of tag_pairs_monthly share month and tags.
select month, first_tag, second_tag
  from {{ ref('tag_pairs_monthly') }}
 group by month, first_tag, second_tag
having count(*) > 1
