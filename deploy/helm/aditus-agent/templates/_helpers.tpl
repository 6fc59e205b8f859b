{{/* What all objects are called after: the release, and the chart if the release does not say it. */}}
{{- define "aditus-agent.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "aditus-agent.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "aditus-agent.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{ include "aditus-agent.selector" . }}
{{- end -}}

{{/* agent.toml. JSON's texts and lists are TOML's, too. */}}
{{- define "aditus-agent.file" -}}
links = {{ .Values.links }}
{{- with .Values.connectUrls }}
connect-urls = {{ toJson . }}
{{- end }}
{{- with .Values.relay }}
relay = {{ toJson . }}
{{- end }}
{{- with .Values.proxy }}
proxy = {{ toJson . }}
{{- end }}
{{- if .Values.ca.pem }}
ca-file = "/etc/aditus/ca.pem"
{{- else if .Values.ca.configMap }}
ca-file = "/etc/aditus-ca/ca.pem"
{{- end }}
{{- if .Values.clientCert.secret }}
client-cert = "/run/secrets/client-cert/tls.crt"
client-key = "/run/secrets/client-cert/tls.key"
{{- end }}
log-format = {{ toJson .Values.log.format }}
{{- if .Values.log.debug }}
debug = true
{{- end }}
{{- end -}}

{{/* What the schema cannot say. */}}
{{- define "aditus-agent.check" -}}
{{- if not .Values.configSecret -}}
{{- if not .Values.specs -}}
{{- fail "Nothing would be offered: list services in specs, as appPort:host:port." -}}
{{- end -}}
{{- if not (or .Values.connectUrls .Values.relay) -}}
{{- fail "The agent would not know where to dial: give connectUrls, as shown when the key was generated, or relay." -}}
{{- end -}}
{{- if and .Values.ca.pem .Values.ca.configMap -}}
{{- fail "ca.pem and ca.configMap are both given, and one file can be trusted: leave one of them empty." -}}
{{- end -}}
{{- end -}}
{{- end -}}
