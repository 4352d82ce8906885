// Metadata, statistics and lists as JSON text.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/lifecycle.h"
#include "runtime/statistics.h"
#include "sched/model_params.h"
#include "server/metadata.h"
#include "server/shared_memory.h"

namespace tessera::server::http {

std::string server_metadata_json(const ServerMetadata& metadata);
std::string model_metadata_json(const ModelMetadata& metadata);
std::string statistics_json(std::span<const runtime::ModelStatistics> models);
std::string index_json(std::span<const model::IndexEntry> entries);
std::string regions_json(std::span<const SharedMemoryRegion> regions);
std::string model_names_json(std::span<const std::string> names);
std::string model_ready_json(std::string_view model);

// {"slo_ms":50,...,"max_share":1}: what may be posted back.
std::string params_json(const sched::LiveParams& params);
std::string policy_json(std::string_view policy);
// {"devices":[{"device":"host/0","up":true,"stuck":0,"launches":12}]}, by their numbers
std::string devices_json(std::span<const runtime::DeviceStatistics> devices);

}  // namespace tessera::server::http
