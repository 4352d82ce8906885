// What the server adds to a request of the smallest model (add and subtract 16 integers) on one loopback connection:
// a TCP ping-pong, bare echo servers of the same HTTP and gRPC libraries, the server, and a direct engine call, all in
// turns within one run.
//
//   scripts/bench wire [--rounds N] [--calls N] [--json FILE]

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <unistd.h>

#include "child.h"
#include "clients.h"
#include "direct.h"
#include "echo.h"
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

void report(const std::vector<Arm>& arms, const std::string& json_file) {
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
  json += "],\"http_above_echo_us\":" + std::to_string(http) + ",\"grpc_above_echo_us\":" + std::to_string(grpc) + "}";
  if (!json_file.empty()) {
    std::ofstream(json_file) << json << "\n";
  }
}

int run(int rounds, int calls, const std::string& json_file, const std::filesystem::path& self) {
  const std::filesystem::path repository = make_repository();
  {
    const std::string me = self.string();
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
    for (int round = 0; round < rounds; ++round) {
      std::fprintf(stderr, "\rround %d of %d", round + 1, rounds);
      for (Arm& arm : arms) {
        measure(arm, calls);
      }
    }
    std::fprintf(stderr, "\r                 \r");
    report(arms, json_file);
  }
  std::filesystem::remove_all(repository);
  return 0;
}

}  // namespace
}  // namespace tessera::bench

int main(int argc, char** argv) {
  using namespace tessera::bench;  // NOLINT(google-build-using-namespace)
  int rounds = 5;
  int calls = 4000;
  std::string json_file;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string flag = argv[i];
    const std::string value = argv[i + 1];
    if (flag == "--echo") {
      return value == "tcp" ? run_tcp_echo() : value == "http" ? run_http_echo() : run_grpc_echo();
    }
    if (flag == "--rounds") {
      rounds = std::max(1, std::atoi(value.c_str()));
    } else if (flag == "--calls") {
      calls = std::max(100, std::atoi(value.c_str()));
    } else if (flag == "--json") {
      json_file = value;
    } else {
      std::fprintf(stderr, "unknown flag %s; known: --rounds --calls --json\n", flag.c_str());
      return 2;
    }
  }
  return run(rounds, calls, json_file, std::filesystem::read_symlink("/proc/self/exe"));
}
