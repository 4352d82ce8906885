// What is counted, as Prometheus's metric families.
#pragma once

#include <prometheus/metric_family.h>

#include <cstddef>
#include <string>
#include <vector>

#include "runtime/statistics.h"

namespace tessera::server {

// Model versions beyond this many are left out (and counted as left out), so that a scrape stays readable.
inline constexpr std::size_t kMaxModelVersions = 1000;

// Labels are names of models, numbers of versions and atoms, and fixed reasons: nothing that a request can choose.
std::vector<prometheus::MetricFamily> model_families(const std::vector<runtime::ModelStatistics>& models);
std::vector<prometheus::MetricFamily> device_families(const std::vector<runtime::DeviceStatistics>& devices);

prometheus::MetricFamily policy_family(const std::string& policy);

// Processor time, memory and open files of this process, under the names that Prometheus's own clients use.
std::vector<prometheus::MetricFamily> process_families();

}  // namespace tessera::server
