"""What browsers and orchestrators reach over HTTP. Rules live elsewhere; here is only HTTP."""
