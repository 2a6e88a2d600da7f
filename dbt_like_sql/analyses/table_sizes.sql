-- Tables by size with their indexes. A partitioned one holds no bytes itself: its partitions are added up.
select namespace.nspname as schema,
       relation.relname as table,
       pg_size_pretty(size.bytes) as size,
       size.bytes
  from pg_class as relation
  join pg_namespace as namespace on namespace.oid = relation.relnamespace
 cross join lateral (
    select coalesce(sum(pg_total_relation_size(part.relid)), pg_total_relation_size(relation.oid))::bigint as bytes
      from pg_partition_tree(relation.oid) as part
 ) as size
 where relation.relkind in ('r', 'p', 'm')
   and not relation.relispartition
   and namespace.nspname in ('public', 'ops', 'analytics')
 order by size.bytes desc;
