"""Who calls, and what they may do: identity, the rule of every RPC, the decision, the policy and its care."""
