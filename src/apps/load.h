// `tessera load`: a workload against a server, and what became of every request.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "apps/serve_options.h"
#include "client/inputs.h"
#include "loadgen/arms.h"

namespace CLI {  // NOLINT(readability-identifier-naming): theirs
class App;
}

namespace tessera::apps {

struct LoadOptions {
  std::string url;       // of a server; empty: one in this process,
  ServeOptions service;  // of these repositories

  std::filesystem::path workload;
  bool own_models = false;          // tenants ask for models of their own names
  std::vector<std::string> models;  // instead of a workload
  std::optional<int> outstanding;   // with these
  int rows = 1;                     // likewise

  std::optional<double> rate;
  std::optional<double> slo_factor;
  std::optional<double> slo_ms;
  double seconds = 10;
  double warm_seconds = 1;
  std::uint64_t seed = 1;
  std::size_t in_flight = 1024;
  std::vector<client::ShapeChoice> shapes;

  bool search = false;
  bool trials = false;             // instead: those that stdin asks for
  std::vector<loadgen::Arm> arms;  // instead; of a server in this process
  double settle_seconds = 3;       // of each arm, before they are compared
  int seeds = 5;
  std::uint64_t least_requests = 5000;
  double precision = 0.02;

  std::filesystem::path json;
  std::filesystem::path html;
  std::filesystem::path learned;  // of a server in this process
  std::string command;            // as it was given
};

void add_load_flags(CLI::App& command, LoadOptions& options);

// A run whose schedule was not kept ends with this status.
inline constexpr int kInvalidRun = 3;

// The exit status.
int load(const LoadOptions& options);

}  // namespace tessera::apps
