"""What runs VBoxManage on the deploy host: programs of the standard library alone, called by local commands."""
