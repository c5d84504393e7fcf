package duplicatitest

// newRoutes is the route table of a generation.
func newRoutes(g *generation) routes {
	var rs routes
	for _, add := range []func(*routes, *generation){
		authRoutes, stateRoutes, taskRoutes, notificationRoutes,
		backupRoutes, operationRoutes, deleteRoutes, databaseRoutes, listingRoutes, exportRoutes, importRoutes,
		settingRoutes, systemRoutes, logRoutes, connectionRoutes, destinationRoutes,
		interfaceRoutes, filesystemRoutes, commandRoutes, remoteRoutes, socketRoutes,
	} {
		add(&rs, g)
	}
	return rs
}
