-- Roles of the database `pay` and what each may do. Run by a superuser inside it; safe to run again.
-- psql variables: a password per role, named <role>_password.
SELECT format('CREATE ROLE %I LOGIN', name) FROM unnest(ARRAY['pay_owner', 'pay_api']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec

ALTER ROLE pay_owner PASSWORD :'pay_owner_password';
ALTER ROLE pay_api PASSWORD :'pay_api_password';
ALTER ROLE pay_api SET lock_timeout = '3s';
ALTER ROLE pay_api SET idle_in_transaction_session_timeout = '15s';
ALTER ROLE pay_api SET statement_timeout = '10s';

ALTER DATABASE :"DBNAME" OWNER TO pay_owner;
REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"DBNAME" TO pay_owner, pay_api;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO pay_owner, pay_api;

ALTER DEFAULT PRIVILEGES FOR ROLE pay_owner IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO pay_api;
ALTER DEFAULT PRIVILEGES FOR ROLE pay_owner IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO pay_api;
