{{/* What all objects are called after: the release, and the chart if the release does not say it. */}}
{{- define "aditus-server.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "aditus-server.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "aditus-server.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{ include "aditus-server.selector" . }}
{{- end -}}

{{/* host:port to listen on, IPv6 in brackets. Takes (list . port). */}}
{{- define "aditus-server.listen" -}}
{{- $host := (index . 0).Values.listenHost -}}
{{- printf (contains ":" $host | ternary "[%s]:%v" "%s:%v") $host (index . 1) -}}
{{- end -}}

{{/* How a probe asks the API for a page. Takes (list . path). */}}
{{- define "aditus-server.ask" -}}
{{- if (index . 0).Values.api.trustedProxies -}}
# It answers trusted proxies alone, and this pod.
exec:
  command: ["aditus", "probe", "--retries", "0", "--http", "http://{{ contains ":" (index . 0).Values.listenHost | ternary "[::1]" "127.0.0.1" }}:8080{{ index . 1 }}"]
{{- else -}}
httpGet:
  path: {{ index . 1 }}
  port: api
  scheme: HTTPS
{{- end -}}
{{- end -}}

{{/* What the schema cannot say. */}}
{{- define "aditus-server.check" -}}
{{- if gt (int .Values.replicas) 1 -}}
{{- if not .Values.database.secret -}}
{{- fail "Several replicas share one PostgreSQL, and none is given: name the Secret that has its URL in database.secret, or set replicas to 1." -}}
{{- end -}}
{{- if not .Values.tls.secret -}}
{{- fail "Several replicas need one certificate, and each would make a development CA of its own: name a Secret in tls.secret, or set replicas to 1." -}}
{{- end -}}
{{- if .Values.appPorts -}}
{{- fail "A listener is open at one replica alone, and a Service does not know which: leave appPorts empty and give apps sidecars, or set replicas to 1." -}}
{{- end -}}
{{- end -}}
{{- range $kind, $one := dict "relay" .Values.relay.service "api" .Values.api.service -}}
{{- if and $one.externalTrafficPolicy (eq $one.type "ClusterIP") -}}
{{- fail (printf "A Service of type ClusterIP has no traffic from outside: set %s.service.type to LoadBalancer or NodePort, or leave %s.service.externalTrafficPolicy empty." $kind $kind) -}}
{{- end -}}
{{- end -}}
{{- end -}}
