"""The admin wing: projects, the registry, launch plans; its front doors are our contract and Flyte's."""
