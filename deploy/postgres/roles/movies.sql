-- Roles of the database `movies` and what each may do. Run by a superuser inside it; safe to run again.
-- psql variables: a password per role, named <role>_password.
SELECT format('CREATE ROLE %I LOGIN', name) FROM unnest(ARRAY['movies_owner', 'movies_admin']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec

ALTER ROLE movies_owner PASSWORD :'movies_owner_password';
ALTER ROLE movies_admin PASSWORD :'movies_admin_password';
ALTER ROLE movies_admin SET lock_timeout = '3s';
ALTER ROLE movies_admin SET idle_in_transaction_session_timeout = '15s';
ALTER ROLE movies_admin SET statement_timeout = '10s';

ALTER DATABASE :"DBNAME" OWNER TO movies_owner;
REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"DBNAME" TO movies_owner, movies_admin;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO movies_owner, movies_admin;

ALTER DEFAULT PRIVILEGES FOR ROLE movies_owner IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO movies_admin;
ALTER DEFAULT PRIVILEGES FOR ROLE movies_owner IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO movies_admin;
