#include "server/http/service_backend.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "model/config.h"
#include "server/http/body/control_body.h"
#include "server/http/body/json_text.h"
#include "server/http/http_server.h"
#include "server/http/metadata_json.h"
#include "server/metadata.h"

namespace tessera::server::http {
namespace {

Answer ok_answer(std::string body = {}) {
  Answer answer;
  answer.body = std::move(body);
  return answer;
}

Answer answer_of(const Status& status) { return status.ok() ? ok_answer() : error_answer(status.error()); }

Answer health(bool good, std::string_view what, const std::optional<std::string>& reason = std::nullopt) {
  Answer answer;
  answer.status = good ? 200 : 503;
  answer.body.append("{\"").append(what).append(good ? "\":true" : "\":false");
  if (reason && !good) {
    answer.body.append(",\"reason\":");
    append_json_text(answer.body, *reason);
  }
  answer.body += '}';
  return answer;
}

std::vector<std::string> serving_names(const runtime::Service& service) {
  std::vector<std::string> names;
  for (const auto& instance : service.serving()) {
    names.push_back(instance->name);
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

}  // namespace

Answer ServiceBackend::model_endpoint(const Route& route) {
  switch (route.endpoint) {
    case Endpoint::kModelReady:
      if (!service_.accepts()) return error_answer(unavailable(std::string(kModelNotReady)));
      return model_ready(service_, route.model, route.version)
                 ? ok_answer(model_ready_json(route.model))
                 : error_answer(invalid_argument(std::string(kModelNotReady)));
    case Endpoint::kModelConfig: {
      const auto config = service_.config(route.model, route.version);
      return config.ok() ? ok_answer(model::config_json(**config)) : error_answer(config.error());
    }
    case Endpoint::kModelStatistics:
    case Endpoint::kAllStatistics: {
      const auto statistics = model_statistics(service_, route.model, route.version);
      return statistics.ok() ? ok_answer(statistics_json(*statistics)) : error_answer(statistics.error());
    }
    default: {
      const auto metadata = model_metadata(service_, route.model, route.version);
      return metadata.ok() ? ok_answer(model_metadata_json(*metadata)) : error_answer(metadata.error());
    }
  }
}

Answer ServiceBackend::index(std::string_view body) {
  const auto ready = index_ready_only(body);
  return ready.ok() ? ok_answer(index_json(repository_index(service_, *ready))) : error_answer(ready.error());
}

Answer ServiceBackend::params(const Route& route, Method method, std::string_view body) {
  auto now = service_.params(route.model);
  if (now.ok() && method == Method::kPost) {
    const auto changes = params_body(body);
    now = changes.ok() ? service_.change_params(route.model, *changes) : Result<sched::LiveParams>(changes.error());
  }
  return now.ok() ? ok_answer(params_json(*now)) : error_answer(now.error());
}

Answer ServiceBackend::policy(Method method, std::string_view body) {
  if (method == Method::kPost) {
    const auto wanted = policy_body(body);
    const Status changed = wanted.ok() ? service_.change_policy(*wanted) : Status(wanted.error());
    if (!changed.ok()) {
      return error_answer(changed.error());
    }
  }
  return ok_answer(policy_json(service_.policy()));
}

void ServiceBackend::load(const Route& route, std::string_view body, Reply reply) {
  if (const Status allowed = check_explicit_control(service_); !allowed.ok()) {
    reply(error_answer(allowed.error()));
    return;
  }
  auto request = load_body(route.model, body);
  if (!request.ok()) {
    reply(error_answer(request.error()));
    return;
  }
  service_.models().load(*std::move(request),
                         [reply = std::move(reply)](const Status& status) { reply(answer_of(status)); });
}

void ServiceBackend::unload(const Route& route, std::string_view body, Reply reply) {
  if (const Status allowed = check_explicit_control(service_); !allowed.ok()) {
    reply(error_answer(allowed.error()));
    return;
  }
  if (const Status valid = unload_body(body); !valid.ok()) {
    reply(error_answer(valid.error()));
    return;
  }
  service_.models().unload(route.model, [reply = std::move(reply)](const Status& status) { reply(answer_of(status)); });
}

void ServiceBackend::devices(Method method, std::string_view body, Reply reply) {
  const auto all = [&service = service_] { return ok_answer(devices_json(service.device_statistics())); };
  if (method != Method::kPost) {
    reply(all());
    return;
  }
  auto name = device_body(body);
  if (!name.ok() || !asks_.add_device) {
    reply(error_answer(!name.ok() ? name.error() : unsupported("devices cannot be added here")));
    return;
  }
  asks_.add_device(*std::move(name), [all, reply = std::move(reply)](const Result<std::string>& added) {
    reply(added.ok() ? all() : error_answer(added.error()));
  });
}

Answer ServiceBackend::shared_memory_endpoint(const Route& route, std::string_view body) {
  if (route.cuda) {
    // There are no such regions, so all of them can be listed and unregistered; perf_analyzer does so at its start.
    if (route.endpoint == Endpoint::kSharedMemoryUnregister) {
      return ok_answer();
    }
    if (route.endpoint == Endpoint::kSharedMemoryStatus && route.region.empty()) {
      return ok_answer(regions_json({}));
    }
    return error_answer(unsupported("CUDA shared memory is not supported"));
  }
  switch (route.endpoint) {
    case Endpoint::kSharedMemoryRegister: {
      const auto parsed = register_body(body);
      return parsed.ok() ? answer_of(shared_memory_.register_region(route.region, parsed->key, parsed->offset,
                                                                    parsed->byte_size))
                         : error_answer(parsed.error());
    }
    case Endpoint::kSharedMemoryUnregister:
      route.region.empty() ? shared_memory_.unregister_all() : shared_memory_.unregister(route.region);
      return ok_answer();
    default: {
      const auto regions = route.region.empty() ? Result(shared_memory_.status()) : shared_memory_.status(route.region);
      return regions.ok() ? ok_answer(regions_json(*regions)) : error_answer(regions.error());
    }
  }
}

void ServiceBackend::control(const Route& route, Method method, std::string body, Reply reply) {
  // What waits, or may not be done while an answer is given: on another thread.
  const auto later = [this, &reply](std::function<Answer()> work) {
    if (!helper_.post([work = std::move(work), reply] { reply(work()); })) {
      reply(error_answer(Error(ErrorCode::kResourceExhausted,
                               "too many calls that look through folders or change "
                               "parameters wait")));
    }
  };
  switch (route.endpoint) {
    case Endpoint::kServerMetadata:
      return reply(ok_answer(server_metadata_json(server_metadata())));
    case Endpoint::kLive:
      return reply(health(service_.live(), "live"));
    case Endpoint::kReady:
      return reply(health(service_.ready(), "ready", service_.stuck()));
    case Endpoint::kModels:
      return reply(ok_answer(model_names_json(serving_names(service_))));
    case Endpoint::kRepositoryIndex:  // looks through folders
      return later([this, body = std::move(body)] { return index(body); });
    case Endpoint::kParams:
      return later([this, route, method, body = std::move(body)] { return params(route, method, body); });
    case Endpoint::kFit:
      if (!asks_.fit) {
        return reply(error_answer(unsupported("whether a model fits cannot be asked here")));
      }
      return asks_.fit(std::move(body), [reply](Result<std::string> answer) {
        reply(answer.ok() ? ok_answer(*std::move(answer)) : error_answer(answer.error()));
      });
    case Endpoint::kDevices:
      return devices(method, body, std::move(reply));
    case Endpoint::kPolicy:
      return later([this, method, body = std::move(body)] { return policy(method, body); });
    case Endpoint::kRepositoryLoad:
      return load(route, body, std::move(reply));
    case Endpoint::kRepositoryUnload:
      return unload(route, body, std::move(reply));
    case Endpoint::kSharedMemoryStatus:
    case Endpoint::kSharedMemoryRegister:
    case Endpoint::kSharedMemoryUnregister:
      return reply(shared_memory_endpoint(route, body));
    case Endpoint::kTraceSetting:
      return reply(error_answer(unsupported("tracing is not supported")));
    case Endpoint::kLogging:
      return reply(error_answer(unsupported("log settings cannot be changed while the server runs")));
    case Endpoint::kGenerate:
      return reply(error_answer(unsupported("the generate endpoints are not supported")));
    default:
      return reply(model_endpoint(route));
  }
}

}  // namespace tessera::server::http

namespace tessera::server {

Result<std::unique_ptr<HttpServer>> HttpServer::start(HttpOptions options, runtime::Service& service,
                                                      SharedMemory& shared_memory, Asks asks) {
  return start(std::move(options), std::make_shared<http::ServiceBackend>(service, shared_memory, std::move(asks)));
}

}  // namespace tessera::server
