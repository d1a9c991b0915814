-- Roles of the database `admin` and what each may do. Run by a superuser inside it; safe to run again.
-- psql variables: a password per role, named <role>_password.
SELECT format('CREATE ROLE %I LOGIN', name) FROM unnest(ARRAY['admin_owner', 'admin_panel']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec

ALTER ROLE admin_owner PASSWORD :'admin_owner_password';
ALTER ROLE admin_panel PASSWORD :'admin_panel_password';
ALTER ROLE admin_panel SET lock_timeout = '3s';
ALTER ROLE admin_panel SET idle_in_transaction_session_timeout = '15s';
ALTER ROLE admin_panel SET statement_timeout = '10s';

ALTER DATABASE :"DBNAME" OWNER TO admin_owner;
REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"DBNAME" TO admin_owner, admin_panel;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO admin_owner, admin_panel;

ALTER DEFAULT PRIVILEGES FOR ROLE admin_owner IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO admin_panel;
ALTER DEFAULT PRIVILEGES FOR ROLE admin_owner IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO admin_panel;
