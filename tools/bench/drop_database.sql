DROP DATABASE {database:Identifier} SYNC
