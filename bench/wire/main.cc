// What the server adds to a request of the smallest model (add and subtract 16 integers) on one loopback connection:
// a TCP ping-pong, bare echo servers of the same HTTP and gRPC libraries, the server, and a direct engine call, all in
// turns within one run. Then the same servers with sixteen requests in flight from one thread that does little else.
//
//   scripts/bench wire [--rounds N] [--calls N] [--awake yes] [--json FILE]
//
// --awake yes keeps the cores from sleeping (a thread on each that runs only where nothing else wants to): waking a
// core costs more than a small request, so the two are two tables. All of it stays on the first two cores it may use.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <sched.h>
#include <unistd.h>

#include "child.h"
#include "clients.h"
#include "direct.h"
#include "echo.h"
#include "load.h"
#include "support/onnx_writer.h"

namespace tessera::bench {
namespace {

using Clock = std::chrono::steady_clock;

struct Arm {
  std::string name;
  WireClient* client = nullptr;
  const Child* server = nullptr;  // none for the direct call
  std::vector<double> us;
  double server_cpu_us = 0;  // per call
};

constexpr std::size_t kAtOnce = 16;

struct LoadArm {
  std::string name;
  LoadClient* client = nullptr;
  const Child* server = nullptr;
  std::vector<double> per_s;          // a round each
  std::vector<double> server_cpu_us;  // per call
  std::vector<double> client_cpu_us;
};

double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
}

void measure(Arm& arm, int calls) {
  for (int i = 0; i < calls / 10; ++i) {
    arm.client->call();
  }
  const double cpu_before = arm.server != nullptr ? arm.server->cpu_time().count() : 0;
  for (int i = 0; i < calls; ++i) {
    const auto begin = Clock::now();
    arm.client->call();
    arm.us.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
  }
  if (arm.server != nullptr) {
    arm.server_cpu_us += (arm.server->cpu_time().count() - cpu_before) * 1e6;
  }
}

double own_cpu_us() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) * 1e-3;
}

void measure(LoadArm& arm, int calls) {
  arm.client->run(static_cast<std::size_t>(calls / 10));
  const double server_before = arm.server->cpu_time().count();
  const double client_before = own_cpu_us();
  const auto begin = Clock::now();
  arm.client->run(static_cast<std::size_t>(calls));
  const double took = std::chrono::duration<double>(Clock::now() - begin).count();
  arm.per_s.push_back(calls / took);
  arm.server_cpu_us.push_back((arm.server->cpu_time().count() - server_before) * 1e6 / calls);
  arm.client_cpu_us.push_back((own_cpu_us() - client_before) / calls);
}

// Everything on two cores, whatever the machine has: children inherit it.
void stay_on_two_cores() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  sched_getaffinity(0, sizeof allowed, &allowed);
  cpu_set_t two;
  CPU_ZERO(&two);
  for (std::size_t core = 0; core < CPU_SETSIZE && CPU_COUNT(&two) < 2; ++core) {
    if (CPU_ISSET(core, &allowed)) {
      CPU_SET(core, &two);
    }
  }
  sched_setaffinity(0, sizeof two, &two);
}

std::filesystem::path make_repository() {
  std::string pattern = (std::filesystem::temp_directory_path() / "tessera-bench-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) {
    std::fprintf(stderr, "cannot make a folder like %s\n", pattern.c_str());
    std::exit(1);
  }
  const std::filesystem::path folder(pattern);
  test_support::add_sub_model(true).save(folder / "simple" / "1" / "model.onnx");
  return folder;
}

std::string report(const std::vector<Arm>& arms) {
  std::map<std::string, double> p50;
  std::string json = "{\"arms\":[";
  std::printf("%-22s %10s %10s %10s %16s\n", "arm", "p50 us", "p90 us", "p99 us", "server CPU us");
  for (const Arm& arm : arms) {
    p50[arm.name] = quantile(arm.us, 0.5);
    const double cpu = arm.server_cpu_us / static_cast<double>(arm.us.size());
    std::printf("%-22s %10.1f %10.1f %10.1f %16.1f\n", arm.name.c_str(), p50[arm.name], quantile(arm.us, 0.9),
                quantile(arm.us, 0.99), cpu);
    json += (json.back() == '[' ? "" : ",") + std::string("{\"name\":\"") + arm.name +
            "\",\"p50_us\":" + std::to_string(p50[arm.name]) + ",\"p99_us\":" + std::to_string(quantile(arm.us, 0.99)) +
            ",\"server_cpu_us\":" + std::to_string(cpu) + ",\"calls\":" + std::to_string(arm.us.size()) + "}";
  }
  const double http = p50["tessera http"] - p50["direct engine call"] - p50["http echo"];
  const double grpc = p50["tessera grpc"] - p50["direct engine call"] - p50["grpc echo"];
  std::printf("\nabove its echo, engine call taken off: HTTP %+.1f us (bar 25), gRPC %+.1f us (bar 35)\n", http, grpc);
  json += "],\"http_above_echo_us\":" + std::to_string(http) + ",\"grpc_above_echo_us\":" + std::to_string(grpc);
  return json;
}

std::string report(const std::vector<LoadArm>& arms) {
  std::printf("\n%zu in flight %9s %10s %16s %16s\n", kAtOnce, "", "per s", "server CPU us", "client CPU us");
  std::string json = "\"at_once\":" + std::to_string(kAtOnce) + ",\"load\":[";
  for (const LoadArm& arm : arms) {
    const double per_s = quantile(arm.per_s, 0.5);
    const double server = quantile(arm.server_cpu_us, 0.5);
    const double client = quantile(arm.client_cpu_us, 0.5);
    std::printf("%-22s %10.0f %16.1f %16.1f\n", arm.name.c_str(), per_s, server, client);
    json += (json.back() == '[' ? "" : ",") + std::string("{\"name\":\"") + arm.name +
            "\",\"per_s\":" + std::to_string(per_s) + ",\"server_cpu_us\":" + std::to_string(server) +
            ",\"client_cpu_us\":" + std::to_string(client) + "}";
  }
  return json + "]";
}

struct Options {
  int rounds = 5;
  int calls = 4000;
  bool awake = false;
  std::string json_file;
};

int run(const Options& options, const std::filesystem::path& self) {
  stay_on_two_cores();
  const std::filesystem::path repository = make_repository();
  {
    const std::string me = self.string();
    std::optional<Child> spinners;
    if (options.awake) {
      spinners.emplace(std::vector<std::string>{me, "--echo", "spin"}, "ready");
    }
    const Child tcp({me, "--echo", "tcp"}, "ready");
    const Child http({me, "--echo", "http"}, "ready");
    const Child grpc({me, "--echo", "grpc"}, "ready");
    const Child tessera({(self.parent_path() / "tessera").string(), "serve", "--model-repository", repository.string(),
                         "--http-port", "0", "--grpc-port", "0", "--metrics-port", "0", "--log-level", "warning"},
                        "ready");
    const std::string request = simple_http_request("/v2/models/simple/infer");
    const std::string message = simple_grpc_message();
    const std::string method = "/inference.GRPCInferenceService/ModelInfer";
    const auto tcp_calls = tcp_client("127.0.0.1:" + tcp.value("port"), request, request.size());
    const auto http_echo_calls = http_client("127.0.0.1:" + http.value("port"), request);
    const auto http_calls = http_client(tessera.value("http"), request);
    const auto grpc_echo_calls = grpc_client("127.0.0.1:" + grpc.value("port"), method, message);
    const auto grpc_calls = grpc_client(tessera.value("grpc"), method, message);
    const auto direct_calls = direct_engine_call(repository / "simple" / "1" / "model.onnx");
    std::vector<Arm> arms{{"tcp ping-pong", tcp_calls.get(), &tcp, {}, 0},
                          {"http echo", http_echo_calls.get(), &http, {}, 0},
                          {"tessera http", http_calls.get(), &tessera, {}, 0},
                          {"grpc echo", grpc_echo_calls.get(), &grpc, {}, 0},
                          {"tessera grpc", grpc_calls.get(), &tessera, {}, 0},
                          {"direct engine call", direct_calls.get(), nullptr, {}, 0}};
    const auto http_echo_load = http_load("127.0.0.1:" + http.value("port"), request, kAtOnce);
    const auto http_tessera_load = http_load(tessera.value("http"), request, kAtOnce);
    const auto grpc_echo_load = grpc_load("127.0.0.1:" + grpc.value("port"), method, message, kAtOnce);
    const auto grpc_tessera_load = grpc_load(tessera.value("grpc"), method, message, kAtOnce);
    std::vector<LoadArm> load_arms{{"http echo", http_echo_load.get(), &http, {}, {}, {}},
                                   {"tessera http", http_tessera_load.get(), &tessera, {}, {}, {}},
                                   {"grpc echo", grpc_echo_load.get(), &grpc, {}, {}, {}},
                                   {"tessera grpc", grpc_tessera_load.get(), &tessera, {}, {}, {}}};
    for (int round = 0; round < options.rounds; ++round) {
      std::fprintf(stderr, "\rround %d of %d", round + 1, options.rounds);
      for (Arm& arm : arms) {
        measure(arm, options.calls);
      }
      for (LoadArm& arm : load_arms) {
        measure(arm, options.calls * 5);
      }
    }
    std::fprintf(stderr, "\r                 \r");
    const std::string json = std::string("{\"awake\":") + (options.awake ? "true" : "false") + "," +
                             report(arms).substr(1) + "," + report(load_arms) + "}";
    if (!options.json_file.empty()) {
      std::ofstream(options.json_file) << json << "\n";
    }
  }
  std::filesystem::remove_all(repository);
  return 0;
}

}  // namespace
}  // namespace tessera::bench

int main(int argc, char** argv) {
  using namespace tessera::bench;  // NOLINT(google-build-using-namespace)
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string flag = argv[i];
    const std::string value = argv[i + 1];
    if (flag == "--echo") {
      return value == "tcp"    ? run_tcp_echo()
             : value == "http" ? run_http_echo()
             : value == "grpc" ? run_grpc_echo()
                               : run_spinners();
    }
    if (flag == "--rounds") {
      options.rounds = std::max(1, std::atoi(value.c_str()));
    } else if (flag == "--calls") {
      options.calls = std::max(100, std::atoi(value.c_str()));
    } else if (flag == "--awake") {
      options.awake = value == "yes";
    } else if (flag == "--json") {
      options.json_file = value;
    } else {
      std::fprintf(stderr, "unknown flag %s; known: --rounds --calls --awake --json\n", flag.c_str());
      return 2;
    }
  }
  return run(options, std::filesystem::read_symlink("/proc/self/exe"));
}
