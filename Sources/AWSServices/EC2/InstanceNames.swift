extension EC2Network {
    /// The private DNS name of an instance that is not terminated. Upstream: aws-iam-authenticator ec2provider.GetPrivateDNSName.
    package func privateDNSName(ofInstance id: String) async -> String? {
        await state.read { tables in tables.instances[id].flatMap { $0.state == "terminated" ? nil : $0.privateDNSName } }
    }
}
