// What `tessera serve` can be told.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "apps/devices.h"
#include "base/ids.h"
#include "base/log.h"
#include "model/lifecycle.h"

namespace tessera::apps {

struct ListenOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;
};

struct ServeOptions {
  std::vector<std::filesystem::path> repositories;
  model::ControlMode control = model::ControlMode::kNone;
  std::vector<std::string> load_models;
  std::chrono::seconds poll_interval{15};
  bool exit_on_error = true;
  bool strict_readiness = true;
  std::string cache_dir;  // empty: keep nothing

  ListenOptions http{.port = 8000};
  ListenOptions grpc{.port = 8001};
  ListenOptions metrics{.port = 8002};

  DeviceChoice device;
  std::vector<int> host_cores;  // empty: all that the process may use
  std::string policy = "tessera";
  std::optional<std::chrono::duration<double, std::milli>> default_slo;
  std::size_t max_waiting = 65536;
  std::filesystem::path record;        // a journal of what is decided; empty: none
  std::optional<Bytes> record_sample;  // its begin alone, so long at most

  std::size_t io_threads = 0;    // 0: one for each of io_cores, at most kMostIoThreads
  std::size_t grpc_threads = 0;  // 0: one for every four of io_cores, at least one and at most 16
  std::vector<int> io_cores;     // empty: host_cores
  Bytes max_body{std::uint64_t{64} << 20};
  std::size_t max_connections = 16384;
  std::chrono::seconds header_time{30};
  std::chrono::seconds body_time{300};
  std::chrono::seconds idle_time{900};
  std::chrono::seconds exit_timeout{30};
  std::chrono::seconds stuck_exit{10};

  LogFormat log_format = LogFormat::kText;
  LogLevel log_level = LogLevel::kInfo;
};

// Unless told, connections are served by at most so many threads: more only pays with a fast network.
inline constexpr std::size_t kMostIoThreads = 8;

}  // namespace tessera::apps
