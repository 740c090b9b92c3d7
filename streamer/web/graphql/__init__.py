"""`/graphql`: questions about runs in the shape that people know from Prefect 1, with Hasura's operators."""
