#include "apps/serve.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "apps/device_desk.h"
#include "apps/fit_desk.h"
#include "apps/make_service.h"
#include "apps/process_limits.h"
#include "apps/stop_signals.h"
#include "base/affinity.h"
#include "base/clock.h"
#include "base/log.h"
#include "runtime/service.h"
#include "server/grpc/grpc_server.h"
#include "server/http/http_server.h"
#include "server/metrics/metrics_server.h"
#include "server/shared_memory.h"

namespace tessera::apps {
namespace {

using std::chrono::milliseconds;

// From the loss of the last device to the end of the process: long enough for a probe to see it.
constexpr std::chrono::seconds kEndAfterLoss{5};

// Everything that listens. Members end in the reverse order; what they serve from outlives them.
struct FrontEnds {
  std::unique_ptr<server::HttpServer> http;
  std::unique_ptr<server::GrpcServer> grpc;
  std::unique_ptr<server::MetricsServer> metrics;
};

// What the server is asked that its service does not answer.
struct Desks {
  FitDesk fit;
  DeviceDesk devices;

  // Whether all that was being done has ended by then.
  bool stop(TimePoint end) {
    const bool answered = fit.stop(std::max(Duration{0}, end - now()));
    return devices.stop(std::max(Duration{0}, end - now())) && answered;
  }
};

std::vector<server::MetricSource> sources(const FrontEnds& front, const runtime::Service& service) {
  const auto* http = front.http.get();
  const auto* grpc = front.grpc.get();
  return {
      {.name = "tessera_ready",
       .help = "1 when the server is ready",
       .value = [&service] { return service.ready() ? 1.0 : 0.0; }},
      {.name = "tessera_http_connections",
       .help = "Open HTTP connections",
       .value = [http] { return static_cast<double>(http->statistics().connections); }},
      {.name = "tessera_grpc_streams",
       .help = "Open inference streams",
       .value = [grpc] { return static_cast<double>(grpc->open_streams()); }},
      {.name = "tessera_grpc_inferences",
       .help = "Inferences over gRPC that are not answered yet",
       .value = [grpc] { return static_cast<double>(grpc->open_inferences()); }},
  };
}

std::vector<int> io_cores(const ServeOptions& options, const device::HostTopology& topology) {
  if (!options.io_cores.empty()) return options.io_cores;
  return {topology.cpus().begin(), topology.cpus().end()};
}

// Where the host computes, threads that read requests sit on its cores, one each: a small request then runs on the
// thread that read it. Where it does not, each takes any core that is free: bound to one it would wait for whoever
// computes there, milliseconds behind a client that is within a long system call, while other cores idle.
std::vector<CpuSet> io_places(const std::vector<int>& cores, const runtime::Service& service) {
  const bool one_each = service.device_kind() == "host";
  std::vector<CpuSet> places(one_each ? cores.size() : 1);
  for (std::size_t i = 0; i < cores.size(); ++i) places[one_each ? i : 0].add(cores[i]);
  return places;
}

// How many cores one gRPC thread can feed; a second one only pays when the first has no time left.
constexpr int kCoresPerGrpcThread = 4;
constexpr int kMostGrpcThreads = 16;

server::HttpOptions http_options(const ServeOptions& options, const std::vector<int>& cores,
                                 const runtime::Service& service) {
  server::HttpOptions http;
  http.address = options.http.address;
  http.port = options.http.port;
  http.places = io_places(cores, service);
  http.threads = options.io_threads > 0 ? options.io_threads : std::min(cores.size(), kMostIoThreads);
  http.max_connections = options.max_connections;
  http.max_body = options.max_body;
  http.head_time = options.header_time;
  http.body_time = options.body_time;
  http.idle_time = options.idle_time;
  return http;
}

Result<FrontEnds> listen(const ServeOptions& options, const device::HostTopology& topology, runtime::Service& service,
                         server::SharedMemory& shared_memory, Desks& desks) {
  FrontEnds front;
  server::Asks asks;
  asks.fit = [&desks](std::string body, Desk::Reply reply) { desks.fit.ask(std::move(body), std::move(reply)); };
  asks.add_device = [&desks](const std::string& text, Desk::Reply reply) { desks.devices.ask(text, std::move(reply)); };
  const std::vector<int> cores = io_cores(options, topology);
  TESSERA_ASSIGN_OR_RETURN(front.http, server::HttpServer::start(http_options(options, cores, service), service,
                                                                 shared_memory, std::move(asks)));
  server::GrpcOptions grpc;
  grpc.address = options.grpc.address;
  grpc.port = options.grpc.port;
  grpc.max_message = options.max_body;
  grpc.message_time = options.body_time;
  // From the last core on, as HTTP's connections begin with the first.
  grpc.places = io_places({cores.rbegin(), cores.rend()}, service);
  grpc.threads = options.grpc_threads > 0
                     ? static_cast<int>(options.grpc_threads)
                     : std::clamp(static_cast<int>(cores.size()) / kCoresPerGrpcThread, 1, kMostGrpcThreads);
  TESSERA_ASSIGN_OR_RETURN(front.grpc, server::GrpcServer::start(grpc, service, shared_memory));
  server::MetricsOptions metrics;
  metrics.address = options.metrics.address;
  metrics.port = options.metrics.port;
  TESSERA_ASSIGN_OR_RETURN(front.metrics, server::MetricsServer::start(metrics, service, sources(front, service)));
  return front;
}

std::string at(const ListenOptions& listen, std::uint16_t port) {
  const bool v6 = listen.address.find(':') != std::string::npos && listen.address.front() != '[';
  return (v6 ? "[" + listen.address + "]" : listen.address) + ":" + std::to_string(port);
}

void say_ready(const ServeOptions& options, const FrontEnds& front) {
  std::printf("ready http=%s grpc=%s metrics=%s\n", at(options.http, front.http->port()).c_str(),
              at(options.grpc, front.grpc->port()).c_str(), at(options.metrics, front.metrics->port()).c_str());
  std::fflush(stdout);
}

// Until a signal, the loss of the last device, or some time after a batch that does not end, unless it does.
void wait_for_end(const runtime::Service& service, std::chrono::seconds stuck_exit, StopSignals& signals) {
  TimePoint end = kNever;
  do {
    const std::optional<std::string> stuck = service.stuck();
    if (stuck && end == kNever) {
      end = now() + stuck_exit;
      log(LogLevel::kError, "a batch does not end: ending soon",
          {{"reason", *stuck}, {"seconds", std::int64_t{stuck_exit.count()}}});
    } else if (!stuck && end != kNever) {
      end = kNever;
      log(LogLevel::kWarning, "the batch has ended after all: going on");
    }
  } while (!signals.wait(end) && now() < end);
}

enum class Drained {
  kAll,
  kLoading,  // a step of a load, or opening a device, goes on, which nobody waits for any more
  kRunning,  // requests that were accepted
};

// What waits for processors that a batch holds is not waited for as long as --exit-timeout-secs may say.
constexpr milliseconds kDrainBesideStuck{5000};

// Refuses new requests, finishes the accepted ones and closes connections; loads end at their next step, unless
// accepted requests wait for a model to return.
Drained drain(runtime::Service& service, FrontEnds& front, Desks& desks, milliseconds limit) {
  if (service.stuck()) limit = std::min(limit, kDrainBesideStuck);
  const TimePoint end = add_saturating(now(), limit);
  const bool awaited = service.refuse_new();
  if (!awaited || service.stuck()) service.models().stop_loading();
  const bool drained = service.drain(limit);
  service.models().stop_loading();
  const bool idle = desks.stop(end);
  if (!drained) {
    if (!service.stuck()) return Drained::kRunning;
    service.abandon();  // who waits for what the batch holds
  }
  const Duration left = std::max(Duration{0}, end - now());
  const bool loaded = service.models().loading_ended(std::chrono::duration_cast<milliseconds>(left));
  // All is answered; the answers that are on their way get as long as a slow network may take.
  constexpr milliseconds kSend{2000};
  if (!front.http->drain(kSend)) {
    log(LogLevel::kWarning, "some clients did not take their answers in time");
  }
  front.grpc->shut_down(kSend);
  return loaded && idle ? Drained::kAll : Drained::kLoading;
}

// Destructors would wait for the batch.
[[noreturn]] void leave_beside_stuck(runtime::Service& service, const std::string& reason) {
  log(LogLevel::kError, "ending beside a batch that does not end", {{"reason", reason}});
  service.end_recording();
  std::_Exit(kExitStuck);
}

int fail(const Error& error) {
  std::fprintf(stderr, "tessera serve: %s\n", error.message().c_str());
  return EXIT_FAILURE;
}

}  // namespace

int serve(const ServeOptions& options, const OpenDevices& open) {
  prepare_process();
  set_up_log(options.log_format, options.log_level);
  StopSignals signals;  // before the threads of a GPU's driver

  const auto topology = device::HostTopology::of(options.host_cores);
  if (!topology.ok()) return fail(topology.error());
  ServiceEvents told;
  told.all_lost = [&signals] { signals.stop(); };
  told.stuck = [&signals] { signals.nudge(); };
  auto made = make_service(options, *topology, std::move(told), open);
  if (!made.ok()) return fail(made.error());
  const std::unique_ptr<runtime::Service> service = std::move(*made);
  server::SharedMemory shared_memory;
  Desks desks{FitDesk(*service), DeviceDesk(*service, open, *topology, options.max_body)};
  // Before the models: a port that is taken should not cost a load, and probes of liveness are answered meanwhile.
  auto front = listen(options, *topology, *service, shared_memory, desks);
  if (!front.ok()) return fail(front.error());

  Status started;
  signals.during([&] { started = service->start(); }, [&] { service->models().stop_loading(); });
  if (!started.ok() && !signals.stopped()) {
    if (options.exit_on_error && service->stuck()) leave_beside_stuck(*service, started.error().message());
    if (options.exit_on_error) return fail(started.error());
    log(LogLevel::kWarning, "a model could not be loaded; serving without it", {{"error", started.error().message()}});
  }
  if (!signals.stopped()) say_ready(options, *front);
  wait_for_end(*service, options.stuck_exit, signals);

  // Only a new process helps. Probes see it meanwhile, and peers get their answers.
  const bool lost = !service->live();
  if (lost) {
    log(LogLevel::kError, "no device is left: ending soon", {{"seconds", std::int64_t{kEndAfterLoss.count()}}});
    std::this_thread::sleep_for(kEndAfterLoss);
  }
  log(LogLevel::kInfo, "stopping: finishing what runs");
  // What still goes on at the end cannot be interrupted, and waiting for it is what the limit is against.
  const Drained drained = drain(*service, *front, desks, options.exit_timeout);
  if (const auto stuck = service->stuck()) leave_beside_stuck(*service, *stuck);
  service->end_recording();
  switch (drained) {
    case Drained::kAll:
      break;
    case Drained::kLoading:
      log(LogLevel::kWarning,
          "a load was still going on, or a device was being added, at the end of --exit-timeout-secs");
      std::_Exit(lost ? EXIT_FAILURE : EXIT_SUCCESS);
    case Drained::kRunning:
      log(LogLevel::kError, "requests were still running at the end of --exit-timeout-secs");
      std::_Exit(EXIT_FAILURE);
  }
  log(LogLevel::kInfo, "stopped");
  return lost ? EXIT_FAILURE : EXIT_SUCCESS;
}

}  // namespace tessera::apps
