-- What enrolld keeps of tokens, enrollments and registrations, with the same uniqueness.
create table tokens (
  token text primary key,
  audit jsonb not null,
  created timestamptz not null default now()
);

create table enrollments (
  pk bigint generated always as identity primary key,
  approvecode text not null unique,
  callsign text not null,
  pool uuid,
  state int not null default 0,
  created timestamptz not null default now(),
  updated timestamptz not null default now()
);
create unique index on enrollments (lower(callsign));

create table events (
  event int primary key,
  capacity int not null,
  taken int not null default 0
);

create table registrations (
  event int not null references events,
  person uuid not null,
  created timestamptz not null default now(),
  primary key (event, person)
);

-- Eight characters from the operating system's randomness. The bytes 6 and 8 of such a UUID are not all random.
create function draw_code() returns text language plpgsql volatile as $$
declare
  drawn bytea := uuid_send(gen_random_uuid());
  code text := '';
  place int;
begin
  foreach place in array array[0, 1, 2, 3, 4, 5, 10, 11] loop
    code := code || substr('ABCDEFGHIJKLMNOPQRSTUVWXYZ23456789', get_byte(drawn, place) % 34 + 1, 1);
  end loop;
  return code;
end $$;

-- Draws until a code is free; its callsign must be.
create function enroll(callsign_wanted text, by_pool uuid) returns text language plpgsql as $$
declare
  code text;
begin
  loop
    insert into enrollments (approvecode, callsign, pool) values (draw_code(), callsign_wanted, by_pool)
      on conflict do nothing returning approvecode into code;
    if found then return code; end if;
    perform from enrollments where lower(callsign) = lower(callsign_wanted);
    if found then raise exception 'somebody has this callsign'; end if;
  end loop;
end $$;

-- Everybody wants the event's one row. Who waits for it waits in line at a lock, which is faster than waking up all of
-- them for each version of the row.
create function register(for_event int, who uuid) returns boolean language plpgsql as $$
begin
  perform pg_advisory_xact_lock(for_event);
  insert into registrations (event, person) values (for_event, who);
  update events set taken = taken + 1 where event = for_event and taken < capacity;
  if not found then raise exception 'no place is left'; end if;
  return true;
end $$;
