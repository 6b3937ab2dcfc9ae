"""The execution wing: executions launched, read, watched, ended; its front doors are our contract and Flyte's."""
