/// What the access policies allow, in the notation of the bootstrap roles. Upstream: EKS User Guide, "Review access policy permissions"; CloudWatch
/// User Guide, "Integration with Amazon EKS"; Application Recovery Controller, "Amazon EKS resource scaling block".
enum AccessPolicyTable {
    /// The policies for people and programs, whose rules the guide has as tables.
    static let userFacing = """
        AmazonAIOpsAssistantPolicy
          get,list | core | configmaps,events,namespaces,nodes,persistentvolumeclaims,persistentvolumes,pods,pods/log,services
          get,list | apps | daemonsets,deployments,replicasets,statefulsets
          get,list | batch | cronjobs,jobs
          get,list | events.k8s.io | events
          get,list | networking.k8s.io | ingressclasses,ingresses
          get,list | storage.k8s.io | storageclasses
          get,list | metrics.k8s.io | nodes,pods
        AmazonARCRegionSwitchScalingPolicy
          get,update | * | */scale
          get | * | */status
          get,patch | autoscaling | horizontalpodautoscalers
        AmazonEKSAdminPolicy
          create | authorization.k8s.io | localsubjectaccessreviews
          read,write | rbac.authorization.k8s.io | rolebindings,roles
          write | apps | daemonsets,deployments,deployments/rollback,deployments/scale,replicasets,replicasets/scale,statefulsets,statefulsets/scale
          write | autoscaling | horizontalpodautoscalers
          write | batch | cronjobs,jobs
          write | extensions | daemonsets,deployments,deployments/rollback,deployments/scale,ingresses,networkpolicies,replicasets,replicasets/scale
          write | extensions | replicationcontrollers/scale
          write | networking.k8s.io | ingresses,networkpolicies
          write | policy | poddisruptionbudgets
          read | core | pods/attach,pods/exec,pods/portforward,pods/proxy,secrets,services/proxy
          impersonate | core | serviceaccounts
          write | core | pods,pods/attach,pods/exec,pods/portforward,pods/proxy
          write | core | configmaps,events,persistentvolumeclaims,replicationcontrollers,replicationcontrollers/scale,secrets,serviceaccounts
          write | core | services,services/proxy
          read | apps | controllerrevisions,daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status,replicasets
          read | apps | replicasets/scale,replicasets/status,statefulsets,statefulsets/scale,statefulsets/status
          read | autoscaling | horizontalpodautoscalers,horizontalpodautoscalers/status
          read | batch | cronjobs,cronjobs/status,jobs,jobs/status
          read | discovery.k8s.io | endpointslices
          read | extensions | daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status,ingresses,ingresses/status
          read | extensions | networkpolicies,replicasets,replicasets/scale,replicasets/status,replicationcontrollers/scale
          read | networking.k8s.io | ingresses,ingresses/status,networkpolicies
          read | policy | poddisruptionbudgets,poddisruptionbudgets/status
          read | core | configmaps,endpoints,persistentvolumeclaims,persistentvolumeclaims/status,pods,replicationcontrollers
          read | core | replicationcontrollers/scale,serviceaccounts,services,services/status
          read | core | bindings,events,limitranges,namespaces/status,pods/log,pods/status,replicationcontrollers/status,resourcequotas
          read | core | resourcequotas/status
          read | core | namespaces
        AmazonEKSAdminViewPolicy
          read | * | *
        AmazonEKSClusterAdminPolicy
          * | * | *
          * | url | *
        AmazonEKSEditPolicy
          write | apps | daemonsets,deployments,deployments/rollback,deployments/scale,replicasets,replicasets/scale,statefulsets,statefulsets/scale
          write | autoscaling | horizontalpodautoscalers
          write | batch | cronjobs,jobs
          write | extensions | daemonsets,deployments,deployments/rollback,deployments/scale,ingresses,networkpolicies,replicasets,replicasets/scale
          write | extensions | replicationcontrollers/scale
          write | networking.k8s.io | ingresses,networkpolicies
          write | policy | poddisruptionbudgets
          read | core | pods/attach,pods/exec,pods/portforward,pods/proxy,secrets,services/proxy
          impersonate | core | serviceaccounts
          write | core | pods,pods/attach,pods/exec,pods/portforward,pods/proxy
          write | core | configmaps,events,persistentvolumeclaims,replicationcontrollers,replicationcontrollers/scale,secrets,serviceaccounts
          write | core | services,services/proxy
          read | apps | controllerrevisions,daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status,replicasets
          read | apps | replicasets/scale,replicasets/status,statefulsets,statefulsets/scale,statefulsets/status
          read | autoscaling | horizontalpodautoscalers,horizontalpodautoscalers/status
          read | batch | cronjobs,cronjobs/status,jobs,jobs/status
          read | discovery.k8s.io | endpointslices
          read | extensions | daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status,ingresses,ingresses/status
          read | extensions | networkpolicies,replicasets,replicasets/scale,replicasets/status,replicationcontrollers/scale
          read | networking.k8s.io | ingresses,ingresses/status,networkpolicies
          read | policy | poddisruptionbudgets,poddisruptionbudgets/status
          read | core | configmaps,endpoints,persistentvolumeclaims,persistentvolumeclaims/status,pods,replicationcontrollers
          read | core | replicationcontrollers/scale,serviceaccounts,services,services/status
          read | core | bindings,events,limitranges,namespaces/status,pods/log,pods/status,replicationcontrollers/status,resourcequotas
          read | core | resourcequotas/status
          read | core | namespaces
        AmazonEKSSecretReaderPolicy
          read | core | secrets
        AmazonEKSViewPolicy
          read | apps | controllerrevisions,daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status,replicasets
          read | apps | replicasets/scale,replicasets/status,statefulsets,statefulsets/scale,statefulsets/status
          read | autoscaling | horizontalpodautoscalers,horizontalpodautoscalers/status
          read | batch | cronjobs,cronjobs/status,jobs,jobs/status
          read | discovery.k8s.io | endpointslices
          read | extensions | daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status,ingresses,ingresses/status
          read | extensions | networkpolicies,replicasets,replicasets/scale,replicasets/status,replicationcontrollers/scale
          read | networking.k8s.io | ingresses,ingresses/status,networkpolicies
          read | policy | poddisruptionbudgets,poddisruptionbudgets/status
          read | core | configmaps,endpoints,persistentvolumeclaims,persistentvolumeclaims/status,pods,replicationcontrollers
          read | core | replicationcontrollers/scale,serviceaccounts,services,services/status
          read | core | bindings,events,limitranges,namespaces/status,pods/log,pods/status,replicationcontrollers/status,resourcequotas
          read | core | resourcequotas/status
          read | core | namespaces
        """

    /// The policies of EKS's own parts (Auto Mode, hybrid nodes, insights), which the guide describes in words. The leases that those parts hold
    /// have no names there: they may be created, and no more.
    static let ofEKS = """
        AmazonEKSAutoNodePolicy
          read | core | endpoints,namespaces,nodes,pods,services
          read | discovery.k8s.io | endpointslices
          create,patch,update | core,events.k8s.io | events
          patch,update | core | nodes/status
          read | core | persistentvolumes,persistentvolumeclaims
          read | storage.k8s.io | csidrivers,csinodes,storageclasses,volumeattachments
          read,create,patch,update | eks.amazonaws.com | cninodes,cninodes/status,nodediagnostics,nodediagnostics/status
          read | networking.k8s.io | networkpolicies
        AmazonEKSBlockStorageClusterPolicy
          read,create,patch,update,delete | storage.k8s.io | csidrivers
          list,watch,create,update,patch,delete | core | persistentvolumes
          list,watch,update | core | persistentvolumeclaims
          patch | core | persistentvolumeclaims/status
          read | core | nodes,pods
          read,create,patch,update | core,events.k8s.io | events
          read | storage.k8s.io | csinodes,storageclasses,volumeattributesclasses
          list,watch,patch,update | storage.k8s.io | volumeattachments,volumeattachments/status
          read,create,update,patch,delete | snapshot.storage.k8s.io | volumesnapshots,volumesnapshots/status,volumesnapshotcontents
          read,create,update,patch,delete | snapshot.storage.k8s.io | volumesnapshotcontents/status,volumesnapshotclasses
          read,update,patch | groupsnapshot.storage.k8s.io | volumegroupsnapshots,volumegroupsnapshots/status,volumegroupsnapshotcontents
          read,update,patch | groupsnapshot.storage.k8s.io | volumegroupsnapshotcontents/status,volumegroupsnapshotclasses
        AmazonEKSBlockStoragePolicy
          create | coordination.k8s.io | leases
        AmazonEKSClusterInsightsPolicy
          get,list | core | nodes
          get | core | nodes/status
          get | apps | daemonsets | kube-proxy
        AmazonEKSComputeClusterPolicy
          read,create,patch,update,delete | karpenter.sh | nodeclaims,nodeclaims/status,nodepools,nodepools/status
          read,create,patch,update,delete | eks.amazonaws.com | nodeclasses,nodeclasses/status
          read | core | namespaces,nodes,persistentvolumeclaims,persistentvolumes,pods,replicationcontrollers
          read | storage.k8s.io | csinodes,storageclasses,volumeattachments
          list,watch | apps | daemonsets,deployments,replicasets,statefulsets
          read | policy | poddisruptionbudgets
          read,create,patch | core,events.k8s.io | events
          update,patch,delete | core | nodes
          create | core | pods/eviction
          delete | core | pods
          create | apiextensions.k8s.io | customresourcedefinitions
          read,update,patch,delete | apiextensions.k8s.io | customresourcedefinitions | nodeclasses.eks.amazonaws.com,nodepools.karpenter.sh
          read,update,patch,delete | apiextensions.k8s.io | customresourcedefinitions | nodeclaims.karpenter.sh,nodediagnostics.eks.amazonaws.com
        AmazonEKSComputePolicy
          create | coordination.k8s.io | leases
          get,watch | coordination.k8s.io | leases
        AmazonEKSHybridPolicy
          list | * | nodes
        AmazonEKSLoadBalancingClusterPolicy
          create,patch | core,events.k8s.io | events
          read | core | endpoints,namespaces,nodes,pods
          patch,update | core | pods/status
          read,write | core | services,services/status
          read,write | networking.k8s.io | ingresses,ingresses/status
          read | discovery.k8s.io | endpointslices
          read | networking.k8s.io | ingressclasses
          read,create,patch,update,delete | eks.amazonaws.com | targetgroupbindings,targetgroupbindings/status
          read | eks.amazonaws.com | ingressclassparams
          read,create | apiextensions.k8s.io | customresourcedefinitions
          update,patch,delete | apiextensions.k8s.io | customresourcedefinitions | targetgroupbindings.eks.amazonaws.com
          update,patch,delete | apiextensions.k8s.io | customresourcedefinitions | ingressclassparams.eks.amazonaws.com
          read,create | admissionregistration.k8s.io | mutatingwebhookconfigurations,validatingwebhookconfigurations
          update,patch,delete | admissionregistration.k8s.io | mutatingwebhookconfigurations | eks-load-balancing-webhook
          update,patch,delete | admissionregistration.k8s.io | validatingwebhookconfigurations | eks-load-balancing-webhook
        AmazonEKSLoadBalancingPolicy
          create | coordination.k8s.io | leases
        AmazonEKSNetworkingClusterPolicy
          read | eks.amazonaws.com | nodeclasses,nodeclasses/status
          read | karpenter.sh | nodeclaims,nodeclaims/status
          read | core | pods
          read,create,patch,update,delete | eks.amazonaws.com | cninodes,cninodes/status
          read,create | apiextensions.k8s.io | customresourcedefinitions
          update,patch,delete | apiextensions.k8s.io | customresourcedefinitions | cninodes.eks.amazonaws.com
          create,patch | core,events.k8s.io | events
        AmazonEKSNetworkingPolicy
          create | coordination.k8s.io | leases
        """
}
