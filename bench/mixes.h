// The mixes of tenants that simulated benchmarks play, from files of this folder.
#pragma once

#include <fstream>
#include <sstream>
#include <string>

#include "loadgen/workload.h"
#include "sim/scenario.h"

namespace tessera {

struct MixFiles {
  std::string workloads = TESSERA_BENCH_DIR "/workloads";          // folder with mixN.json
  std::string profiles = TESSERA_BENCH_DIR "/profiles/h100.json";  // latencies as measured
  std::string device = "h100";                                     // one of the profiles'
};

inline Result<std::string> read_text(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return file ? Result<std::string>(text.str()) : not_found("cannot read " + path);
}

inline Status write_text(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  file.close();
  return file ? ok_status() : Status(internal_error("cannot write " + path));
}

// A workload of the folder, by the name of its file without ".json", on the device; with what stands in there for
// models that the device has no latencies of.
inline Result<sim::Scenario> scenario_of(const MixFiles& files, const std::string& name) {
  sim::Scenario out;
  TESSERA_ASSIGN_OR_RETURN(const std::string profiles, read_text(files.profiles));
  TESSERA_ASSIGN_OR_RETURN(out.device, sim::choose_device(profiles, files.profiles, files.device));
  const std::string file = files.workloads + "/" + name + ".json";
  TESSERA_ASSIGN_OR_RETURN(const std::string workload, read_text(file));
  TESSERA_ASSIGN_OR_RETURN(out.workload, loadgen::parse_workload(workload, file, read_text));
  TESSERA_RETURN_IF_ERROR(out.device.stand_in(out.workload));
  return out;
}

// `tenants`: 4, 8, 16.
inline Result<sim::Scenario> mix(const MixFiles& files, int tenants) {
  return scenario_of(files, "mix" + std::to_string(tenants));
}

inline std::string file_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// How to repeat it from the top of the repository: the program, and its arguments but where results went.
inline std::string command_of(std::string program, int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--json") {
      ++i;
    } else {
      program += " " + argument;
    }
  }
  return program;
}

}  // namespace tessera
