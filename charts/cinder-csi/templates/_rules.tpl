{{/* What each part may do in the whole cluster: for (attacher, provisioner, resizer, snapshotter, driver, node), root. It is what the sidecars' own
     deploy/kubernetes/rbac.yaml asks for; the resizer's right to read Pods is only for --handle-volume-inuse-error, which is off. */}}
{{- define "cinder-csi.rules" -}}
{{- if eq .for "attacher" -}}
- {apiGroups: [""], resources: [persistentvolumes], verbs: [get, list, watch, patch]}
- {apiGroups: [storage.k8s.io], resources: [csinodes], verbs: [get, list, watch]}
- {apiGroups: [storage.k8s.io], resources: [volumeattachments], verbs: [get, list, watch, patch]}
- {apiGroups: [storage.k8s.io], resources: [volumeattachments/status], verbs: [patch]}
{{- else if eq .for "provisioner" -}}
- {apiGroups: [""], resources: [persistentvolumes], verbs: [get, list, watch, create, patch, delete]}
- {apiGroups: [""], resources: [persistentvolumeclaims], verbs: [get, list, watch, update]}
- {apiGroups: [""], resources: [events], verbs: [list, watch, create, update, patch]}
- {apiGroups: [""], resources: [nodes], verbs: [get, list, watch]}
- {apiGroups: [storage.k8s.io], resources: [storageclasses, csinodes, volumeattachments], verbs: [get, list, watch]}
- {apiGroups: [snapshot.storage.k8s.io], resources: [volumesnapshots], verbs: [get, list, watch, update]}
- {apiGroups: [snapshot.storage.k8s.io], resources: [volumesnapshotcontents], verbs: [get, list]}
- {apiGroups: [storage.k8s.io], resources: [volumeattributesclasses], verbs: [get]}
{{- else if eq .for "resizer" -}}
- {apiGroups: [""], resources: [persistentvolumes], verbs: [get, list, watch, patch]}
- {apiGroups: [""], resources: [persistentvolumeclaims], verbs: [get, list, watch]}
- {apiGroups: [""], resources: [persistentvolumeclaims/status], verbs: [patch]}
- {apiGroups: [""], resources: [events], verbs: [list, watch, create, update, patch]}
- {apiGroups: [storage.k8s.io], resources: [volumeattributesclasses], verbs: [get, list, watch]}
{{- else if eq .for "snapshotter" -}}
- {apiGroups: [""], resources: [events], verbs: [list, watch, create, update, patch]}
- {apiGroups: [snapshot.storage.k8s.io], resources: [volumesnapshotclasses], verbs: [get, list, watch]}
- {apiGroups: [snapshot.storage.k8s.io], resources: [volumesnapshotcontents], verbs: [get, list, watch, update, patch]}
- {apiGroups: [snapshot.storage.k8s.io], resources: [volumesnapshotcontents/status], verbs: [update, patch]}
- {apiGroups: [groupsnapshot.storage.k8s.io], resources: [volumegroupsnapshotclasses], verbs: [get, list, watch]}
- {apiGroups: [groupsnapshot.storage.k8s.io], resources: [volumegroupsnapshotcontents], verbs: [get, list, watch, update, patch]}
- {apiGroups: [groupsnapshot.storage.k8s.io], resources: [volumegroupsnapshotcontents/status], verbs: [update, patch]}
{{- else if eq .for "driver" -}}
- {apiGroups: [""], resources: [persistentvolumeclaims, persistentvolumes], verbs: [get]}
- {apiGroups: [""], resources: [events], verbs: [create, patch]}
{{- else if eq .for "node" -}}
{{- $taint := .root.Values.node.startupTaint.enabled -}}
- {apiGroups: [""], resources: [nodes], verbs: [get{{ if $taint }}, patch{{ end }}]}
{{- if $taint }}
- {apiGroups: [storage.k8s.io], resources: [csinodes], verbs: [get]}
{{- end }}
{{- if .root.Values.node.preStop.enabled }}
- {apiGroups: [storage.k8s.io], resources: [volumeattachments], verbs: [list]}
{{- end }}
{{- end }}
{{- with dig .for "extraRbac" list .root.Values.csi }}
{{ toYaml . }}
{{- end }}
{{- end -}}
