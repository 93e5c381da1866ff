{{/* What is wrong with the values, and what to do: sentences, as a list in YAML. Each subject has a template that gives such a list. */}}
{{- define "cinder-csi.problems" -}}
{{- $problems := list -}}
{{- range list "images" "credentials" "controller" "args" "node" "monitors" "ports" "classes" "manifests" "names" "cluster" -}}
{{- $problems = concat $problems (include (printf "cinder-csi.problems.%s" .) $ | fromYamlArray) -}}
{{- end -}}
{{- toYaml $problems -}}
{{- end -}}

{{- define "cinder-csi.problems.images" -}}
{{- $problems := list -}}
{{- $driver := .Values.csi.plugin.image.repository -}}
{{- if not $driver -}}
{{- $problems = append $problems "csi.plugin.image.repository is empty, and no image of the driver is published yet: name the one that you built (docs/image.md)." -}}
{{- else if hasSuffix "/cinder-csi-plugin" $driver -}}
{{- $problems = append $problems (printf "csi.plugin.image.repository is %s, the existing driver, which this chart's flags don't fit: name an image of cinder-csi." $driver) -}}
{{- end -}}
{{- range include "cinder-csi.allSidecars" . | fromYamlArray -}}
{{- $image := (index $.Values.csi .).image -}}
{{- if not (and $image.repository (or $image.tag $image.digest)) -}}
{{- $problems = append $problems (printf "csi.%s.image has no %s: leave the whole of it to the chart, or name the sidecar's own." . (ternary "tag" "repository" (ne ($image.repository | default "") ""))) -}}
{{- end -}}
{{- end -}}
{{- toYaml $problems -}}
{{- end -}}

{{/* A controller needs a section [Global] of a cloud.conf, a cloud of clouds.yaml, or OS_* variables: src/config.rs. */}}
{{- define "cinder-csi.problems.credentials" -}}
{{- $problems := list -}}
{{- $secret := .Values.secret -}}
{{- $plugin := .Values.csi.plugin -}}
{{- $flags := list -}}
{{- range list $plugin.extraArgs $plugin.controllerPlugin.extraArgs -}}
{{- $flags = concat $flags (include "cinder-csi.flags" (dict "root" $ "args" .) | fromYamlArray) -}}
{{- end -}}
{{- $elsewhere := or (has "cloud" $flags) (has "cloud-config" $flags) -}}
{{- if $secret.enabled -}}
{{- if and $secret.create (not $secret.data) -}}
{{- $problems = append $problems "secret.create makes a Secret, but secret.data is empty: give it an entry cloud.conf, or name a Secret that is there by secret.name without secret.create." -}}
{{- else if and $secret.create $secret.filename (not (hasKey $secret.data $secret.filename)) -}}
{{- $problems = append $problems (printf "secret.data has no entry %s, which secret.filename names: the driver would look for it in vain." $secret.filename) -}}
{{- else if and $secret.create $secret.filename (not $elsewhere) (not (regexMatch "(?mi)^[^#;\\n]*\\[\\s*global\\b" (get $secret.data $secret.filename))) -}}
{{- $problems = append $problems (printf "secret.data has an entry %s without a section [Global], which says where the cloud is, or with use-clouds that clouds.yaml does: write it (docs/configuration.md)." $secret.filename) -}}
{{- else if and (not $secret.create) (not $secret.name) -}}
{{- $problems = append $problems "secret.enabled is true, but which Secret? Name it by secret.name, or let the chart make it by secret.create and secret.data." -}}
{{- end -}}
{{- else if kindIs "invalid" $secret.hostMount -}}
{{- $problems = append $problems "The controller has no credentials: set secret.enabled with secret.name or secret.data; or secret.hostMount: true for /etc/config of its host; or secret.hostMount: false where something else brings the file." -}}
{{- end -}}
{{- range $plugin.extraEnv -}}
{{- $elsewhere = or $elsewhere (hasPrefix "OS_" .name) -}}
{{- end -}}
{{- if not (or $secret.filename $elsewhere) -}}
{{- $problems = append $problems "secret.filename is empty, so the controller reads no cloud.conf, and nothing else names a cloud: set secret.filename, give OS_* variables by csi.plugin.extraEnv, or --cloud by csi.plugin.controllerPlugin.extraArgs." -}}
{{- end -}}
{{- toYaml $problems -}}
{{- end -}}

{{- define "cinder-csi.problems.controller" -}}
{{- $problems := list -}}
{{- $replicas := int .Values.csi.plugin.controllerPlugin.replicas -}}
{{- $strategy := .Values.csi.plugin.controllerPlugin.strategy.type -}}
{{- if and (gt $replicas 1) (not .Values.controller.leaderElection) -}}
{{- $problems = append $problems (printf "csi.plugin.controllerPlugin.replicas is %d, but controller.leaderElection is false: each replica would make every volume. Set one replica, or leader election." $replicas) -}}
{{- end -}}
{{- if and (ne $strategy "Recreate") (not .Values.controller.leaderElection) -}}
{{- $problems = append $problems "controller.leaderElection is false, and an update would run the old and the new Pod side by side: set csi.plugin.controllerPlugin.strategy.type to Recreate." -}}
{{- end -}}
{{- $known := list "socket" -}}
{{- if or .Values.secret.enabled .Values.secret.hostMount -}}{{- $known = append $known "cloud-config" -}}{{- end -}}
{{- $own := include "cinder-csi.volumes" . | fromYaml -}}
{{- range $own.volumes -}}{{- $known = append $known .name -}}{{- end -}}
{{- range $own.mounts -}}
{{- if not (has .name $known) -}}
{{- $problems = append $problems (printf "csi.plugin.volumeMounts names the volume %s, and csi.plugin.volumes has none of that name." .name) -}}
{{- end -}}
{{- end -}}
{{- toYaml $problems -}}
{{- end -}}

{{/* Flags of the user's. A driver of another version may have other flags: the notes name those that ours hasn't. */}}
{{- define "cinder-csi.problems.args" -}}
{{- $problems := list -}}
{{- $leaders := include "cinder-csi.sidecars" . | fromYamlArray -}}
{{- range $place, $args := include "cinder-csi.allArgs" . | fromYaml -}}
{{- $it := dict "root" $ "args" $args -}}
{{- $text := include "cinder-csi.extraArgs" $it -}}
{{- $list := (include "cinder-csi.parsedArgs" $it | fromYaml).args -}}
{{- if and (regexMatch "(?m)^\\s*[^#\\s]" $text) (not (kindIs "slice" $list)) -}}
{{- $problems = append $problems (printf "csi.%s.extraArgs is a text, and no list is in it: %s. Write [--flag=value]; with --set, csi.%s.extraArgs={--flag=value}." $place (trunc 60 $text) $place) -}}
{{- end -}}
{{- if and (hasPrefix "plugin" $place) (has "http-endpoint" (include "cinder-csi.flags" $it | fromYamlArray)) -}}
{{- $problems = append $problems (printf "csi.%s.extraArgs has --http-endpoint, where the probes wouldn't ask: set csi.plugin.httpEndpoint.port or node.httpPort." $place) -}}
{{- end -}}
{{- if and (eq $place "provisioner") $.Values.csiDriver.storageCapacity (contains "--enable-capacity=false" $text) -}}
{{- $problems = append $problems "csiDriver.storageCapacity is true, but csi.provisioner.extraArgs has --enable-capacity=false: without the provisioner's figures Pods with new claims would wait for ever. Set csiDriver.storageCapacity to false." -}}
{{- end -}}
{{- if and (has $place $leaders) (regexMatch "--?leader-election=(f|F|0)" $text) -}}
{{- $problems = append $problems (printf "csi.%s.extraArgs switches leader election off, which the probes and the rights don't know: set controller.leaderElection to false." $place) -}}
{{- end -}}
{{- end -}}
{{- if include "cinder-csi.sameVersion" . -}}
{{- range include "cinder-csi.unknownFlags" . | fromYamlArray -}}
{{- $problems = append $problems (printf "%s: the driver would end at once. docs/configuration.md lists its flags." .) -}}
{{- end -}}
{{- end -}}
{{- toYaml $problems -}}
{{- end -}}

{{- define "cinder-csi.problems.node" -}}
{{- $problems := list -}}
{{- $folder := .Values.csi.plugin.nodePlugin.kubeletDir -}}
{{- if not (and (isAbs $folder) (trimAll "/" $folder)) -}}
{{- $problems = append $problems (printf "csi.plugin.nodePlugin.kubeletDir is %q: it must be the absolute path of a directory, such as /var/lib/kubelet." $folder) -}}
{{- end -}}
{{- toYaml $problems -}}
{{- end -}}

{{- define "cinder-csi.problems.monitors" -}}
{{- $problems := list -}}
{{- $pods := .Values.csi.plugin.podMonitor.enabled -}}
{{- $service := .Values.monitoring.serviceMonitor.enabled -}}
{{- if and (or $pods $service) (not .Values.csi.plugin.httpEndpoint.enabled) -}}
{{- $problems = append $problems "A monitor is asked for, but csi.plugin.httpEndpoint.enabled is false: there would be nothing to look at." -}}
{{- end -}}
{{- if and (or $pods $service) .Values.monitoring.nodes .Values.csi.livenessprobe.enabled -}}
{{- $problems = append $problems "monitoring.nodes is true, but with csi.livenessprobe.enabled the nodes' drivers serve no metrics: set one of them to false." -}}
{{- end -}}
{{- if and $pods $service -}}
{{- $problems = append $problems "csi.plugin.podMonitor.enabled and monitoring.serviceMonitor.enabled are both true: everything would be counted twice. Choose one." -}}
{{- end -}}
{{- toYaml $problems -}}
{{- end -}}

{{- define "cinder-csi.problems.ports" -}}
{{- $problems := list -}}
{{- $taken := dict -}}
{{- with include "cinder-csi.controllerPort" . | int -}}
{{- $_ := set $taken (toString .) (ternary "csi.plugin.httpEndpoint.port" "the port of the controller's driver" $.Values.csi.plugin.httpEndpoint.enabled) -}}
{{- end -}}
{{- if .Values.csi.livenessprobe.enabled -}}
{{- if hasKey $taken "9808" -}}
{{- $problems = append $problems "csi.plugin.httpEndpoint.port is 9808, which the sidecar livenessprobe takes: choose another." -}}
{{- end -}}
{{- $_ := set $taken "9808" "the sidecar livenessprobe" -}}
{{- end -}}
{{- range $sidecar := include "cinder-csi.sidecars" . | fromYamlArray -}}
{{- with include "cinder-csi.sidecarPort" (dict "root" $ "name" $sidecar) -}}
{{- if hasKey $taken . -}}
{{- $problems = append $problems (printf "csi.%s.httpPort is %s, which %s is, too: choose another." $sidecar . (get $taken .)) -}}
{{- end -}}
{{- $_ := set $taken . (printf "csi.%s.httpPort" $sidecar) -}}
{{- end -}}
{{- end -}}
{{- $port := int .Values.node.httpPort | toString -}}
{{- if and .Values.controller.hostNetwork .Values.node.hostNetwork (hasKey $taken $port) -}}
{{- $problems = append $problems (printf "controller.hostNetwork and node.hostNetwork put both on the host's ports, and node.httpPort is %s, which %s is, too: choose another." $port (get $taken $port)) -}}
{{- end -}}
{{- toYaml $problems -}}
{{- end -}}

{{- define "cinder-csi.problems.classes" -}}
{{- $problems := list -}}
{{- $defaults := list -}}
{{- range $key, $name := include "cinder-csi.storageClasses" . | fromYaml -}}
{{- $class := index $.Values.storageClass $key -}}
{{- if $class.isDefault -}}{{- $defaults = append $defaults $key -}}{{- end -}}
{{- with lookup "storage.k8s.io/v1" "StorageClass" "" $name -}}
{{- $wanted := include "cinder-csi.parameters" $class | fromYaml -}}
{{- if ne (.parameters | default dict | toJson) ($wanted.parameters | default dict | toJson) -}}
{{- $problems = append $problems (printf "The StorageClass %s of this cluster has other parameters than storageClass.%s.parameters, and they can't be changed: delete it before, or leave them; claims stay." $name $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.storageClass.enabled (gt (len $defaults) 1) -}}
{{- $problems = append $problems (printf "Only one StorageClass can be the default, and isDefault is true of: storageClass.%s." (join ", storageClass." $defaults)) -}}
{{- end -}}
{{- if not (or .Values.storageClass.enabled .Values.test.storageClassName) -}}
{{- $problems = append $problems "storageClass.enabled is false, so `helm test` has no class: name one of this driver's by test.storageClassName." -}}
{{- end -}}
{{- toYaml $problems -}}
{{- end -}}

{{- define "cinder-csi.problems.manifests" -}}
{{- $problems := list -}}
{{- range regexSplit "(?m)^---.*$" (.Values.storageClass.custom | default "") -1 -}}
{{- $object := fromYaml . -}}
{{- if and $object (not (and $object.kind $object.apiVersion)) -}}
{{- $problems = append $problems (printf "storageClass.custom must be whole manifests, as text, and this is none: %s" (trim . | trunc 60 | quote)) -}}
{{- end -}}
{{- end -}}
{{- toYaml $problems -}}
{{- end -}}

{{- define "cinder-csi.problems.names" -}}
{{- $problems := include "cinder-csi.unknownNames" (dict "root" . "old" false) | fromYamlArray -}}
{{- if not .Values.legacyNames -}}
{{- $problems = concat (include "cinder-csi.unknownNames" (dict "root" . "old" true) | fromYamlArray) $problems -}}
{{- end -}}
{{- toYaml $problems -}}
{{- end -}}

{{- define "cinder-csi.problems.cluster" -}}
{{- $problems := list -}}
{{- with lookup "storage.k8s.io/v1" "CSIDriver" "" "cinder.csi.openstack.org" -}}
{{- $modes := .spec.volumeLifecycleModes | default list -}}
{{- if ne (has "Ephemeral" $modes) $.Values.legacyNames -}}
{{- $problems = append $problems (printf "The CSIDriver cinder.csi.openstack.org of this cluster has the volumeLifecycleModes %s, which can't be changed: set legacyNames to %t, as an upgrade from the existing chart needs (docs/migrate.md), or delete that object before; volumes stay." (join ", " $modes) (has "Ephemeral" $modes)) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.volumeAttributesClasses (.Capabilities.KubeVersion.Version | semverCompare "<1.34-0") -}}
{{- $problems = append $problems (printf "volumeAttributesClasses need Kubernetes 1.34 or later, and this is %s." .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- toYaml $problems -}}
{{- end -}}
