#pragma once
#include "clinux_process.h"
#include "clinux_kubelet.h"
